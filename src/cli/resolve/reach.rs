//! The way to the nodes, made of the command line and the configuration.

use std::io::Write as _;
use std::sync::Arc;

use super::Invocation;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::lab::Lab;
use crate::plan::NodeName;
use crate::prompt::Prompter;
use crate::terminal::ask::TerminalPrompter;
use crate::trace::Trace;
use crate::transport::local::Local;
use crate::transport::shell::Shell;
use crate::transport::sudo::{AsUser, Sudo};
use crate::transport::ways::{self, ConfigFile, Given, NO_FORWARDING, Reached, Way};
use crate::transport::{LoginUser, Transport, Via};

/// The nodes that a way is made for.
#[derive(Debug, Clone, Copy)]
pub struct Fleet<'a> {
    /// The nodes, in the order of their set.
    pub nodes: &'a [NodeName],
    /// Their set, folded.
    pub folded: &'a str,
    /// The lab that they are in.
    pub lab: Option<&'a Lab>,
    /// What wants to know of the way to them.
    pub trace: &'a Trace,
}

/// The way that `-R` or the configuration names.
///
/// # Errors
/// A configuration that cannot be used.
pub fn way(asked: Invocation<'_>) -> Result<&'static Way, CliError> {
    let config = asked.site.config()?;
    let configured = config.values.worker.as_deref().unwrap_or("native");
    let name = asked.options.reach.worker.as_deref().unwrap_or(configured);
    ways::by_name(name).ok_or_else(|| {
        let origin = config.origin("worker").map(ToString::to_string);
        let origin = origin.unwrap_or_else(|| "worker".to_owned());
        CliError::config(format!(
            "{origin}: unknown worker `{name}`, expected one of {}",
            ways::names().join(", ")
        ))
    })
}

/// Makes a way for nodes.
///
/// # Errors
/// An option that the way cannot honour, or a configuration that cannot be used.
pub fn reach(
    way: &Way,
    asked: Invocation<'_>,
    fleet: Fleet<'_>,
    console: &Console,
) -> Result<Reached, CliError> {
    check(way, asked)?;
    let (reach, values) = (&asked.options.reach, asked.site.values()?);
    // What comes first wins: the command line stands before the configuration.
    let mut options = reach.ssh_option.clone();
    if way.can.ssh {
        options.extend(values.ssh_options.iter().flatten().cloned());
    }
    if way.name == "native" && asked.called == "milkcheck" {
        options.extend(NO_FORWARDING.map(str::to_owned));
    }
    let file = match fleet.lab {
        Some(lab) => ConfigFile::Path(lab.ssh_config()),
        None => {
            let file = reach.ssh_config.as_ref().or(values.ssh_config.as_ref());
            file.map_or(ConfigFile::Default, |file| ConfigFile::from_flag(file))
        }
    };
    let given = Given {
        nodes: fleet.nodes,
        folded: fleet.folded,
        user: LoginUser {
            asked: reach.user.clone(),
            usual: values.user.clone(),
        },
        program: Vec::new(),
        words: Vec::new(),
        options,
        file,
        ssh_way: "-R ssh",
        via: via(asked)?,
        facts: &|| asked.site.facts(),
        prompter: Arc::new(person(asked.called, console)?),
        trace: fleet.trace.clone(),
    };
    (way.make)(given).map_err(|error| CliError::config(error.to_string()))
}

/// How sockets on the nodes are reached.
fn via(asked: Invocation<'_>) -> Result<Via, CliError> {
    let configured = asked.site.values()?.haproxy.via.as_deref();
    let text = asked.options.reach.via.as_deref().or(configured);
    text.unwrap_or("auto").parse().map_err(CliError::usage)
}

/// Whom `--become` names, if anybody, and how to be that on the nodes.
///
/// # Errors
/// A user or a way to sockets that cannot be.
pub fn sudo(
    asked: Invocation<'_>,
    console: &Console,
    trace: &Trace,
) -> Result<Option<Arc<Sudo>>, CliError> {
    let Some(user) = asked.options.reach.as_user.clone() else {
        return Ok(None);
    };
    let via = via(asked)?;
    let prompter = Arc::new(person(asked.called, console)?);
    let heard = (prompter as Arc<dyn Prompter>, trace.clone());
    Ok(Some(Arc::new(Sudo::new(user, via, nonce()?, heard))))
}

/// The way with another user at its end.
///
/// # Errors
/// A way that leaves no place for sudo.
pub fn as_user(
    reached: Reached,
    sudo: Option<&Arc<Sudo>>,
    nodes: &[NodeName],
) -> Result<Reached, CliError> {
    let Some(sudo) = sudo else {
        return Ok(reached);
    };
    if let Some(launcher) = &reached.launcher
        && launcher.is_only_way()
        && nodes.iter().any(|node| launcher.takes(node))
    {
        return Err(CliError::usage(
            "--become needs a way of its own to each node, to answer sudo; use -R native, ssh or exec",
        ));
    }
    // What launches commands by itself knows nothing of sudo.
    let transport = AsUser::new(reached.transport, Arc::clone(sudo));
    Ok(Reached::each(transport))
}

/// A word that cannot be guessed.
fn nonce() -> Result<String, CliError> {
    let mut bytes = [0; 16];
    let read = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    match read {
        Ok(count) if count == bytes.len() => Ok(data_encoding::HEXLOWER.encode(&bytes)),
        _ => Err(CliError::system("the system gives no random numbers")),
    }
}

/// Refuses options that mean nothing to the way, or do not go together.
///
/// # Errors
/// The first of them, or a value that is none.
pub fn check(way: &Way, asked: Invocation<'_>) -> Result<(), CliError> {
    let reach = &asked.options.reach;
    let via = via(asked)?;
    if let Some(user) = &reach.as_user {
        if user.is_empty() {
            return Err(CliError::usage("--become= names no user"));
        }
        if via == Via::Streamlocal {
            let text = "--via streamlocal does not go with --become: the SSH server opens the socket as the user of the login";
            return Err(CliError::usage(text));
        }
    }
    if way.name == "slurm" && reach.user.is_some() {
        let text = "-l does not go with -R slurm, which runs as who asks for it";
        return Err(CliError::usage(text));
    }
    let given = [
        ("-l", reach.user.is_some() && way.can.here),
        (
            "-o",
            !reach.ssh_option.is_empty() && !way.can.ssh && way.name != "slurm",
        ),
        ("-F", reach.ssh_config.is_some() && !way.can.ssh),
    ];
    match given.iter().find(|(_, is_lost)| *is_lost) {
        Some((option, _)) => Err(CliError::usage(format!(
            "{option} means nothing to -R {}, which does not speak SSH by itself",
            way.name
        ))),
        None => Ok(()),
    }
}

/// What runs a command on this machine for each node, with the node as a placeholder.
pub fn local(nodes: &[NodeName], folded: &str) -> Arc<dyn Transport> {
    Arc::new(Local::new(nodes, folded.to_owned()))
}

/// What runs commands on this machine, whatever the nodes are.
pub fn here() -> &'static dyn Transport {
    &Shell
}

/// Asks the user at the terminal.
///
/// # Errors
/// When no descriptor is left.
pub fn person(called: &str, console: &Console) -> Result<TerminalPrompter, CliError> {
    let err = console.err.try_clone();
    let err = err.map_err(|error| CliError::system(error.to_string()))?;
    let called = called.to_owned();
    Ok(TerminalPrompter::new(
        console.terminal_lock.clone(),
        move |message| {
            // Nothing can be done if that fails.
            let _ = writeln!(&err, "{called}: warning: {message}");
        },
    ))
}
