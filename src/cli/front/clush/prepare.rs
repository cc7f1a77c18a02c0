//! From the command line and the configuration to a [`Session`]: everything but the command.

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;

use rustix::process::getpgrp;
use rustix::stdio::stdin;
use rustix::termios::tcgetpgrp;

use super::failure::Failure;
use super::nodes;
use super::options::Options;
use super::session::Session;
use super::tree;
use super::worker::ClushWorker;
use crate::cli::axes::{axes, default_axes};
use crate::cli::console::Console;
use crate::cli::resolve::groups::Sources;
use crate::cli::resolve::nodes::bounded;
use crate::cli::runtime::Runtime;
use crate::cli::site::Site;
use crate::config::clush::{ClushConf, Verbosity};
use crate::config::{Color, Environment};
use crate::event::Meter;
use crate::groups::Defaults;
use crate::nodeset::Style;
use crate::prompt::{Echo, Prompter, TerminalLock};
use crate::report::classic::Classic;
use crate::terminal::ask::TerminalPrompter;
use crate::terminal::stdin::{at_once, follow};
use crate::transport::input::{Input, Source, Spool};
use crate::transport::limit_files;

/// Files that are open beside those of the nodes.
const OWN_FILES: usize = 48;

/// Resolves everything but the command. The order is the original's, in which the first mistake is told.
pub(super) fn prepare<'a>(
    called: &'a str,
    options: Options,
    console: &'a mut Console,
) -> Result<Session<'a>, Failure> {
    let site = Site::new(Environment::of_process());
    let environment = &site.environment;
    let folders = site.folders();
    let defaults = Defaults::load(&folders).map_err(|error| Failure::Named(error.to_string()))?;
    let mut conf = match &options.conf {
        Some(file) => ClushConf::file(file.clone())?,
        None => ClushConf::load(&folders)?,
    };
    override_conf(&mut conf, &options)?;
    let verbosity = conf.verbosity();
    if verbosity == Verbosity::Debug {
        console.complain("DEBUG:root:clush: STARTING DEBUG");
    }
    let color = color(&conf, &options, environment, console)?;
    if options.diff && options.lines {
        return Err(Failure::Usage(
            "option mismatch (diff not supported in line_mode)".to_owned(),
        ));
    }
    conf.node_count()?;
    let mut sources = Sources::new(environment, options.groupsconf.clone());
    if let Some(source) = &options.source {
        sources.set_default(source)?;
    }
    let mut warn = |line: String| {
        if verbosity >= Verbosity::Standard {
            console.complain(line);
        }
    };
    let mut nodes = nodes::target(&options, &sources, &mut warn)?;
    let style = style(&options, &defaults)?;
    if nodes.is_empty() {
        return Err(Failure::Usage("No node to run on.".to_owned()));
    }
    bounded(&nodes, environment)?;
    if let Some(picked) = options
        .pick
        .map(|count| nodes::pick(&nodes, count))
        .transpose()?
        .flatten()
    {
        nodes = picked;
        if verbosity >= Verbosity::Verbose {
            let mut classic = Classic {
                out: &mut console.out,
                color,
                escape: false,
            };
            classic.information(&format!("Picked random nodes: {nodes}"))?;
        }
    }
    let files = open_files(&conf, verbosity, console)?;
    let default = defaults
        .fanout
        .and_then(|fanout| i64::try_from(fanout).ok());
    let default = default.unwrap_or(64);
    conf.fanout(default)?;
    let keyboard =
        stdin().is_terminal() && tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp());
    let interactive = keyboard && console.out_is_terminal && !options.no_stdin;
    let copies = options.copying.is_some();
    let forwards = !options.no_stdin && !copies && !stdin().is_terminal();
    if verbosity == Verbosity::Debug {
        let word = |yes| if yes { "True" } else { "False" };
        writeln!(console.out, "User interaction: {}", word(interactive))?;
        writeln!(console.out, "Create STDIN worker: {}", word(forwards))?;
    }
    if let Some(mode) = &options.mode {
        activate(&mut conf, mode, verbosity, console)?;
    }
    conf.command_prefix()?;
    conf.maxrc()?;
    let runtime = Runtime::start().map_err(|error| Failure::Named(error.to_string()))?;
    let prompts = conf.password_prompt()?;
    let name = options.worker.as_deref();
    let name = name.or(defaults.distant_workername.as_deref());
    let worker = ClushWorker::by_name(name.unwrap_or("ssh"))?;
    let topology = match worker.can()?.ssh {
        true => tree::topology(&options, environment, &defaults, &folders)?,
        false => None,
    };
    if let Some(topology) = &topology {
        tree::announce(called, topology, verbosity, &console.err);
    }
    let limits = Session::limits(
        conf.connect_timeout(defaults.connect_timeout.unwrap_or(10.0))?,
        conf.command_timeout(defaults.command_timeout.unwrap_or(0.0))?,
    );
    let fanout = usize::try_from(conf.fanout(default)?).ok();
    let fanout = fanout
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| Failure::Plain("(Config Main.fanout): must be at least 1".to_owned()))?;
    if (forwards || prompts) && !worker.can()?.stdin {
        return Err(Failure::Named(format!(
            "EngineClientError: writing to stdin is not supported by {} worker",
            worker.name
        )));
    }
    let password = match prompts {
        true => ask_password(&runtime, &console.terminal_lock)? + "\n",
        false => String::new(),
    };
    let begun = match forwards {
        true => begun(verbosity, console)?,
        false => None,
    };
    let sent = Meter::default();
    let input = match begun {
        Some(begun) => Some(spooled(environment, &sent, &[password.as_bytes(), &begun])),
        None => (forwards || prompts).then(|| Input::from(password)),
    };
    Ok(Session {
        called,
        gather: options.gather,
        conf,
        sources,
        style,
        nodes,
        runtime,
        worker,
        topology,
        input,
        sent,
        fanout: fanout.min(most(files, worker.files()?)),
        limits,
        verbosity,
        color,
        interactive,
        keyboard,
        options,
        site,
        console,
    })
}

/// Lays what the command line says over the configuration, `-O` last.
fn override_conf(conf: &mut ClushConf, options: &Options) -> Result<(), Failure> {
    let told = [options.quiet, options.verbose, options.debug];
    // The most talkative one counts.
    if let Some(level) = told.iter().rposition(|set| *set) {
        conf.set("verbosity", ["0", "2", "3"][level]);
    }
    if let Some(fanout) = options.fanout.filter(|fanout| *fanout != 0) {
        conf.set("fanout", fanout.to_string());
    }
    let timeouts = [
        ("connect_timeout", options.connect_timeout),
        ("command_timeout", options.command_timeout),
    ];
    for (key, value) in timeouts {
        if let Some(seconds) = value {
            conf.set(key, seconds.to_string());
        }
    }
    let texts = [
        ("ssh_user", options.user.as_deref()),
        ("ssh_options", options.ssh_options.as_deref()),
        ("color", options.color),
    ];
    for (key, value) in texts {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            conf.set(key, value);
        }
    }
    if options.maxrc {
        conf.set("maxrc", "yes");
    }
    for setting in &options.settings {
        conf.option(setting)?;
    }
    Ok(())
}

/// Whether there is colour: `auto` looks at both streams, or only at ours that is used.
fn color(
    conf: &ClushConf,
    options: &Options,
    environment: &Environment,
    console: &Console,
) -> Result<bool, Failure> {
    Ok(match conf.color()? {
        None | Some(Color::Never) => false,
        Some(Color::Always) => true,
        Some(Color::Auto) => {
            console.out_is_terminal
                && (console.err_is_terminal || options.gather_all)
                && (options.color == Some("auto")
                    || environment.get("NO_COLOR").is_none()
                        && environment.text("CLICOLOR") != Some("0"))
        }
    })
}

/// How sets are shown.
fn style(options: &Options, defaults: &Defaults) -> Result<Style, Failure> {
    let axes = match &options.axis {
        Some(text) => axes(text).map_err(Failure::Named)?,
        None => default_axes(defaults),
    };
    Ok(Style {
        axes,
        ..Style::default()
    })
}

/// Sets the limit of open files as `fd_max` says; how many there may be now.
fn open_files(
    conf: &ClushConf,
    verbosity: Verbosity,
    console: &mut Console,
) -> Result<usize, Failure> {
    let wanted = conf.fd_max()?;
    let set = limit_files(
        u64::try_from(wanted)
            .unwrap_or(0)
            .max(OWN_FILES as u64 + 16),
    );
    if set
        .hard
        .is_some_and(|hard| u64::try_from(wanted).is_ok_and(|wanted| wanted > hard))
        && verbosity >= Verbosity::Verbose
    {
        console.complain(format_args!(
            "Warning: fd_max set to {wanted} but max open files hard limit is {}",
            set.hard.unwrap_or_default()
        ));
    }
    if set.before != set.now && verbosity == Verbosity::Debug {
        let (before, now) = (set.before, set.now);
        writeln!(
            console.out,
            "Changing max open files soft limit from {before} to {now}"
        )?;
    }
    Ok(usize::try_from(set.now).unwrap_or(usize::MAX))
}

/// How many nodes at one time the limit of open files allows.
fn most(files: usize, each: usize) -> NonZeroUsize {
    let room = files.saturating_sub(OWN_FILES);
    let nodes = room.checked_div(each).unwrap_or(usize::MAX);
    NonZeroUsize::new(nodes).unwrap_or(NonZeroUsize::MIN)
}

fn activate(
    conf: &mut ClushConf,
    mode: &str,
    verbosity: Verbosity,
    console: &mut Console,
) -> Result<(), Failure> {
    if verbosity == Verbosity::Debug {
        let files: Vec<String> = conf
            .files()
            .iter()
            .map(|file| format!("'{file}'"))
            .collect();
        writeln!(console.out, "ClushConfig parsed: [{}]", files.join(", "))?;
        let modes: Vec<&str> = conf.modes().collect();
        writeln!(console.out, "Available run modes: {}", modes.join(" "))?;
    }
    conf.activate(mode)?;
    if verbosity >= Verbosity::Verbose {
        writeln!(console.out, "[{mode}] run mode activated")?;
    }
    Ok(())
}

/// The password for all nodes, asked for once.
fn ask_password(runtime: &Runtime, terminal_lock: &TerminalLock) -> Result<String, Failure> {
    let person = TerminalPrompter::new(terminal_lock.clone(), |_| {});
    let asked = runtime.block_on(async |signals| {
        tokio::select! {
            biased;
            _ = signals.stops.recv() => Err(()),
            answer = person.ask("Password: ", Echo::Hidden) => Ok(answer),
        }
    });
    match asked.map_err(|error| Failure::Named(error.to_string()))? {
        Ok(Some(password)) => Ok(password),
        Ok(None) => Err(Failure::Plain(
            "no password: there is no terminal to ask for it, or none was typed".to_owned(),
        )),
        Err(()) => Err(Failure::Interrupted),
    }
}

/// The beginning of our standard input, as far as it is there; `None` if it cannot be read, which is told and then taken
/// for its end, as the original does.
fn begun(verbosity: Verbosity, console: &mut Console) -> io::Result<Option<Vec<u8>>> {
    let error = match at_once() {
        Ok(begun) => return Ok(Some(begun)),
        Err(error) => error,
    };
    if verbosity >= Verbosity::Verbose {
        let text = error.to_string();
        let reason = text.split(" (os error").next().unwrap_or_default();
        let number = error.raw_os_error().unwrap_or_default();
        writeln!(console.out, "stdin: [Errno {number}] {reason}")?;
    }
    Ok(None)
}

/// What every command reads: these bytes, then the rest of our standard input.
fn spooled(environment: &Environment, sent: &Meter, begun: &[&[u8]]) -> Input {
    let scratch = environment.get("TMPDIR").unwrap_or("/tmp".as_ref());
    let spool = Arc::new(Spool::new(scratch.into()));
    let (pushed, ended) = (Arc::clone(&spool), Arc::clone(&spool));
    match begun.iter().try_for_each(|bytes| spool.push(bytes)) {
        Err(error) => spool.close(Some(error.kind())),
        Ok(()) => follow(
            move |data| pushed.push(data),
            move |error| ended.close(error),
        ),
    }
    Input::new(spool as Arc<dyn Source>, sent.clone())
}
