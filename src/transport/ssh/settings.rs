//! What the command line says about SSH.

use super::user_config::{Facts, Options};
use crate::trace::Trace;
use crate::transport::LoginUser;
use crate::transport::relay::Via;

/// What the command line says about SSH. Identity files, hops and the like are `-o` options.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The facts the configuration is resolved with.
    pub facts: Facts,
    /// Files (`-F`) and options (`-o`).
    pub options: Options,
    /// Whom to log in as.
    pub user: LoginUser,
    /// How sockets on the nodes are reached.
    pub via: Via,
    /// What chooses the system's `ssh` instead on this command line, for hints: `-R ssh`.
    pub ssh_way: &'static str,
    /// Who wants to know of the way to the nodes.
    pub trace: Trace,
}
