//! From the command line and the configuration to a [`Session`]: everything but the command.

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
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
use crate::nodeset::{NodeSet, Style};
use crate::plan::Limits;
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
    let mut conf = read_conf(&options, &folders)?;
    let verbosity = conf.verbosity();
    if verbosity == Verbosity::Debug {
        console.complain("DEBUG:root:clush: STARTING DEBUG");
    }
    let color = color(&conf, &options, environment, console)?;
    if options.diff && options.lines {
        let text = "option mismatch (diff not supported in line_mode)";
        return Err(Failure::Usage(text.to_owned()));
    }
    conf.node_count()?;
    let sources = sources(&options, environment)?;
    let nodes = targets(&options, &sources, verbosity, console)?;
    let style = style(&options, &defaults)?;
    let nodes = to_run_on(nodes, &options, environment, (verbosity, color, console))?;
    let files = open_files(&conf, verbosity, console)?;
    let usual_fanout = usual_fanout(&defaults);
    conf.fanout(usual_fanout)?;
    let terminal = Terminal::new(&options, verbosity, console)?;
    if let Some(mode) = &options.mode {
        activate(&mut conf, mode, verbosity, console)?;
    }
    conf.command_prefix()?;
    conf.maxrc()?;
    let runtime = Runtime::start().map_err(|error| Failure::Named(error.to_string()))?;
    let prompts = conf.password_prompt()?;
    let worker = worker(&options, &defaults)?;
    let topology = match worker.can()?.ssh {
        true => tree::topology(&options, environment, &defaults, &folders)?,
        false => None,
    };
    if let Some(topology) = &topology {
        tree::announce(called, topology, verbosity, &console.err);
    }
    let limits = limits(&conf, &defaults)?;
    let fanout = fanout(&conf, usual_fanout)?;
    if terminal.forwards || prompts {
        takes_input(worker)?;
    }
    let sent = Meter::default();
    let prompting = prompts.then_some(&runtime);
    let input = input(
        environment,
        &sent,
        prompting,
        (terminal.forwards, verbosity, console),
    )?;
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
        interactive: terminal.interactive,
        keyboard: terminal.keyboard,
        options,
        site,
        console,
    })
}

/// The configuration, with what the command line says over it.
fn read_conf(options: &Options, folders: &[PathBuf]) -> Result<ClushConf, Failure> {
    let mut conf = match &options.conf {
        Some(file) => ClushConf::file(file.clone())?,
        None => ClushConf::load(folders)?,
    };
    override_conf(&mut conf, options)?;
    Ok(conf)
}

/// The group sources.
fn sources(options: &Options, environment: &Environment) -> Result<Sources, Failure> {
    let mut sources = Sources::new(environment, options.groupsconf.clone());
    if let Some(source) = &options.source {
        sources.set_default(source)?;
    }
    Ok(sources)
}

/// The fanout where `clush.conf` has none.
fn usual_fanout(defaults: &Defaults) -> i64 {
    let fanout = defaults
        .fanout
        .and_then(|fanout| i64::try_from(fanout).ok());
    fanout.unwrap_or(64)
}

fn limits(conf: &ClushConf, defaults: &Defaults) -> Result<Limits, Failure> {
    Ok(Session::limits(
        conf.connect_timeout(defaults.connect_timeout.unwrap_or(10.0))?,
        conf.command_timeout(defaults.command_timeout.unwrap_or(0.0))?,
    ))
}

fn fanout(conf: &ClushConf, usual: i64) -> Result<NonZeroUsize, Failure> {
    let fanout = usize::try_from(conf.fanout(usual)?).ok();
    fanout
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| Failure::Plain("(Config Main.fanout): must be at least 1".to_owned()))
}

/// The worker that is named on the command line, or else in `defaults.conf`.
fn worker(options: &Options, defaults: &Defaults) -> Result<&'static ClushWorker, Failure> {
    let name = options.worker.as_deref();
    let name = name.or(defaults.distant_workername.as_deref());
    ClushWorker::by_name(name.unwrap_or("ssh"))
}

/// Whether a worker can give commands something to read.
fn takes_input(worker: &ClushWorker) -> Result<(), Failure> {
    if worker.can()?.stdin {
        return Ok(());
    }
    Err(Failure::Named(format!(
        "EngineClientError: writing to stdin is not supported by {} worker",
        worker.name
    )))
}

/// The nodes that the command line names.
fn targets(
    options: &Options,
    sources: &Sources,
    verbosity: Verbosity,
    console: &mut Console,
) -> Result<NodeSet, Failure> {
    let mut warn = |line: String| {
        if verbosity >= Verbosity::Standard {
            console.complain(line);
        }
    };
    nodes::target(options, sources, &mut warn)
}

/// The nodes to run on: some of them if only some are wanted, and never none or too many.
fn to_run_on(
    mut nodes: NodeSet,
    options: &Options,
    environment: &Environment,
    (verbosity, color, console): (Verbosity, bool, &mut Console),
) -> Result<NodeSet, Failure> {
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
    Ok(nodes)
}

/// What the terminal is to a run.
struct Terminal {
    /// We are in its foreground, and may be asked by a key.
    keyboard: bool,
    /// The user can type commands.
    interactive: bool,
    /// Standard input is for the nodes.
    forwards: bool,
}

impl Terminal {
    fn new(
        options: &Options,
        verbosity: Verbosity,
        console: &mut Console,
    ) -> Result<Self, Failure> {
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
        Ok(Self {
            keyboard,
            interactive,
            forwards,
        })
    }
}

/// What every command reads: the password if one was asked for, then our standard input if it is forwarded.
fn input(
    environment: &Environment,
    sent: &Meter,
    prompting: Option<&Runtime>,
    (forwards, verbosity, console): (bool, Verbosity, &mut Console),
) -> Result<Option<Input>, Failure> {
    let password = match prompting {
        Some(runtime) => ask_password(runtime, &console.terminal_lock)? + "\n",
        None => String::new(),
    };
    let begun = match forwards {
        true => begun(verbosity, console)?,
        false => None,
    };
    Ok(match begun {
        Some(begun) => Some(spooled(environment, sent, &[password.as_bytes(), &begun])),
        None => (forwards || prompting.is_some()).then(|| Input::from(password)),
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
