//! The transports over SSH, made of the command line and the configuration.

use std::sync::Arc;

use super::context::Context;
use super::error::CliError;
use crate::transport::Transport;
use crate::transport::launch::Launcher;
use crate::transport::openssh::OpenSsh;
use crate::transport::pdsh::Pdsh;
use crate::transport::rsh::Rsh;
use crate::transport::slurm::Slurm;
use crate::transport::ssh::user_config::{ConfigFile, Facts, Options};
use crate::transport::ssh::{Native, Settings, Via};

/// rsh, whose options are of another kind than those of `-o`.
pub(super) fn rsh(context: &mut Context<'_>) -> Result<Box<dyn Transport>, CliError> {
    let user = user(context)?;
    Ok(Box::new(Rsh {
        user,
        ..Rsh::default()
    }))
}

/// pdsh, with the rcmd module of its own configuration.
pub(super) fn pdsh(context: &mut Context<'_>) -> Result<Box<dyn Launcher>, CliError> {
    let user = user(context)?;
    Ok(Box::new(Pdsh {
        user,
        ..Pdsh::default()
    }))
}

/// Slurm's `srun`; `-o KEY=VALUE` is its `--KEY=VALUE`.
pub(super) fn slurm(context: &mut Context<'_>) -> Result<Box<dyn Launcher>, CliError> {
    if context.reach.user.is_some() {
        return Err(CliError::usage(
            "-l does not go with -R slurm, which runs as who asks for it",
        ));
    }
    let options = &context.reach.ssh_option;
    Ok(Box::new(Slurm {
        options: options.iter().map(|option| format!("--{option}")).collect(),
        ..Slurm::default()
    }))
}

fn user(context: &mut Context<'_>) -> Result<Option<String>, CliError> {
    let asked = context.reach.user.clone();
    Ok(asked.or(context.config()?.values.user.clone()))
}

/// The system's `ssh`.
pub(super) fn openssh(context: &mut Context<'_>) -> Result<Box<dyn Transport>, CliError> {
    let reach = context.reach.clone();
    let values = &context.config()?.values;
    let options = [
        reach.ssh_option,
        values.ssh_options.clone().unwrap_or_default(),
    ]
    .concat();
    let mut words: Vec<String> = options
        .into_iter()
        .flat_map(|option| ["-o".to_owned(), option])
        .collect();
    if let Some(file) = reach.ssh_config.or_else(|| values.ssh_config.clone()) {
        words.extend(["-F".to_owned(), file]);
    }
    let via = reach.via.or_else(|| values.haproxy.via.clone());
    Ok(Box::new(OpenSsh {
        options: words,
        user: reach.user.or_else(|| values.user.clone()),
        via: parse_via(via.as_deref())?,
        ..OpenSsh::default()
    }))
}

fn parse_via(text: Option<&str>) -> Result<Via, CliError> {
    text.unwrap_or("auto").parse().map_err(CliError::usage)
}

/// The native transport, with whoever can be asked at the terminal.
pub(super) fn native(context: &mut Context<'_>) -> Result<Box<dyn Transport>, CliError> {
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
    let via = parse_via(via.as_deref())?;
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
    let native = Native::new(settings, Arc::new(context.person()?));
    native
        .check()
        .map_err(|error| CliError::config(error.to_string()))?;
    Ok(Box::new(native))
}
