//! HAProxy's Runtime API as values: commands to text, answers to servers, and the pure part of a change.
//!
//! Nothing here talks: whoever has a socket sends the text of a [`command::Command`] and hands the answer back. HAProxy
//! has no exit status, and even a success may be a sentence; so each kind of answer has a reader of its own.
//!
//! ```
//! use hapsh::haproxy::command::{Command, Weight};
//! use hapsh::haproxy::name::ServerName;
//! use hapsh::haproxy::state::AdminWord;
//!
//! // Names are checked, so a line is always one command.
//! assert!(ServerName::parse("web/srv1; shutdown frontend x").is_err());
//! let server = ServerName::parse("web/srv1")?;
//! let drain = Command::SetState(server.clone(), AdminWord::Drain);
//! assert_eq!(drain.to_string(), "set server web/srv1 state drain");
//! let half = Command::SetWeight(server, Weight::Percent(50));
//! assert_eq!(half.to_string(), "set server web/srv1 weight 50%");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Which servers are meant, what they are, and whether a backend would be left without any:
//!
//! ```
//! use hapsh::haproxy::{answer, guard, select};
//!
//! let said = "1\n# be_id be_name srv_id srv_name srv_op_state srv_admin_state srv_uweight srv_iweight\n\
//!             3 web 1 srv1 2 0 100 100\n\
//!             3 web 2 srv2 0 1 100 100\n\n";
//! let servers = answer::servers(said.as_bytes())?;
//! assert_eq!(servers[0].words(), "RUNNING/READY");
//! assert_eq!(servers[1].words(), "STOPPED/MAINT");
//!
//! let meant = select::Selector::parse("we*/srv[1-4]")?;
//! let chosen = select::select(&[meant], &servers)?.chosen;
//! assert_eq!(chosen, [0, 1]);
//!
//! // srv1 is the last one that takes clients.
//! let out = guard::with_trackers([&servers[0].name], &[]);
//! let emptied = guard::emptied(&servers, &out);
//! assert_eq!(emptied[0].backend, "web");
//!
//! // Only the empty line says that a change was taken.
//! assert!(answer::accepted(b"\n").is_ok());
//! assert!(answer::accepted(b"No such server.\n\n").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod answer;
pub mod change;
pub mod command;
pub mod guard;
pub mod name;
pub mod patterns;
pub mod payload;
pub mod raw;
pub mod reading;
pub mod select;
pub mod sessions;
pub mod stat;
pub mod state;
pub mod usable;
