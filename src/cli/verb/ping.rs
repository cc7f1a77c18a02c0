//! `ping`: which nodes can be reached and logged in to.

use clap::Args;

use super::VerbArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::resolve::Job;
use crate::cli::task::{Need, Request, Task};

/// Arguments of `ping`: none.
#[derive(Debug, Args)]
pub struct PingArgs {}

/// Connects to all nodes and says of each whether that worked.
struct Ping;

impl VerbArgs for PingArgs {
    fn request(self) -> Result<Request, CliError> {
        Ok(Request::Nodes(Box::new(Ping)))
    }
}

impl Task for Ping {
    fn what(&self) -> String {
        "connect and log in".to_owned()
    }

    fn needs(&self) -> Need {
        Need::Login
    }

    fn perform(self: Box<Self>, job: &mut Job<'_>) -> Result<u8, CliError> {
        job.run(&crate::work::ping::Ping, Statuses::Command)
    }
}
