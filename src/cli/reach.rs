//! The table of transports: from `--worker` to a way to reach nodes.

use std::io::Write;
use std::sync::Arc;

use super::context::Context;
use super::error::CliError;
use crate::config::Worker;
use crate::terminal::ask::Person;
use crate::transport::Transport;
use crate::transport::ssh::user_config::{ConfigFile, Facts, Options};
use crate::transport::ssh::{Native, Settings, Via};

/// The transport that was asked for.
pub(super) fn transport(
    worker: Worker,
    context: &mut Context<'_>,
) -> Result<Box<dyn Transport>, CliError> {
    match worker {
        Worker::Native | Worker::Ssh | Worker::Exec => native(context),
    }
}

fn native(context: &mut Context<'_>) -> Result<Box<dyn Transport>, CliError> {
    let reach = context.reach.clone();
    let values = &context.config()?.values;
    // What comes first wins: the command line stands before the configuration.
    let options = [
        reach.ssh_option,
        values.ssh_options.clone().unwrap_or_default(),
    ]
    .concat();
    let file = reach.ssh_config.or_else(|| values.ssh_config.clone());
    let user = reach.user.or_else(|| values.user.clone());
    let via = reach.via.or_else(|| values.haproxy.via.clone());
    let via: Via = via
        .as_deref()
        .unwrap_or("auto")
        .parse()
        .map_err(CliError::usage)?;
    let facts = Facts::read(context.environment.iter())
        .map_err(|error| CliError::config(error.to_string()))?;
    let settings = Settings {
        facts,
        options: Options {
            file: file.map_or(ConfigFile::Default, |file| ConfigFile::from_flag(&file)),
            options,
        },
        user,
        via,
    };
    let err = context
        .console
        .err
        .try_clone()
        .map_err(|error| CliError::system(error.to_string()))?;
    let called = context.called.to_owned();
    let person = Person::new(move |message| {
        // Nothing can be done if that fails.
        let _ = writeln!(&err, "{called}: warning: {message}");
    });
    Ok(Box::new(Native::new(settings, Arc::new(person))))
}
