//! The verbs of `hash`: one file each, with its arguments and what it does.

pub mod change;
pub mod completions;
pub mod config;
pub mod copy;
pub mod fetch;
pub mod gateway;
pub mod journal;
pub mod lab;
pub mod links;
pub mod ping;
pub mod question;
pub mod run;
pub mod shell;
pub mod shell_init;
pub mod status;
