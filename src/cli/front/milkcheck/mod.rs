//! `milkcheck`, and `hash service`: services in the order of their dependencies (MilkCheck 1.2.4).

mod options;
mod world;

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::cli::console::Console;
use crate::cli::context::Context;
use crate::cli::flags::Targets;
use crate::config::Environment;
use crate::config::milkcheck::{self, MilkcheckConf, Report};
use crate::config::services::{self, Loaded};
use crate::exec::services::{Requests, ServiceMeans, ServicesEnd, run_services};
use crate::nodeset::{NoGroups, NodeSet};
use crate::plan::{Limits, NodeName};
use crate::report::services::{GraphView, ServiceLook, ServiceText, SummaryReport};
use crate::service::expand::NodeFilter;
use crate::service::resolve::Purpose;
use crate::service::{
    Direction, Graph, Place, Request, ServiceError, ServiceId, Status, Task, Walk, resolve,
};
use crate::terminal::{enter::Enter, signals::Signals, size};
use crate::transport::Transport;
use crate::transport::shell::Shell;

use options::{Asked, GraphForm, HELP, OptionError, Options};
use world::World;

/// A mistake of the user.
const USER_ERROR: u8 = 9;
/// A mistake of ours.
const INTERNAL_ERROR: u8 = 12;
/// The reader of our output went away.
const OUTPUT_LOST: u8 = 1;

/// Runs the front-end with the words behind its name.
pub fn run(called: &str, words: &[OsString], console: &mut Console) -> u8 {
    let mut front = Front {
        called,
        environment: Environment::of_process(),
        console,
        verbosity: 1,
    };
    let code = match front.run(words) {
        Ok(code) => code,
        Err(trouble) => front.tell(trouble),
    };
    match console.close() {
        Ok(()) => code,
        Err(_) => OUTPUT_LOST,
    }
}

/// Why there is nothing to run.
#[derive(Debug)]
enum Trouble {
    /// The command line is wrong.
    Options(String),
    /// Something else is.
    Message(String),
    /// The services are.
    Services(Box<ServiceError>),
    /// Our output cannot be written.
    Output,
    /// The system would not let us work.
    System(String),
}

impl From<ServiceError> for Trouble {
    fn from(error: ServiceError) -> Self {
        Self::Services(Box::new(error))
    }
}

impl From<io::Error> for Trouble {
    fn from(_: io::Error) -> Self {
        Self::Output
    }
}

struct Front<'a> {
    called: &'a str,
    environment: Environment,
    console: &'a mut Console,
    verbosity: u8,
}

impl Front<'_> {
    fn run(&mut self, words: &[OsString]) -> Result<u8, Trouble> {
        let groups = NoGroups;
        let mut world = World { groups: &groups };
        // How much is told about mistakes in the options is decided by those before them.
        let asked = options::parse(words, |text| world.lenient(text));
        let mut options = match asked {
            Ok(Asked::Version) => {
                writeln!(self.console.out, "milkcheck 1.2.4")?;
                return Ok(0);
            }
            Ok(Asked::Help) => {
                self.console.out.write_all(HELP.as_bytes())?;
                return Ok(0);
            }
            Ok(Asked::Print) => return Ok(0),
            Ok(Asked::Run(options)) => options,
            Err(OptionError::Invalid(message)) => return Err(Trouble::Options(message)),
            Err(OptionError::Variable(message)) => return Err(Trouble::Message(message)),
        };
        self.verbosity = options.verbosity;
        let conf = self.configuration(&options)?;
        let action = match options.graph {
            Some(form) => {
                let (graph, _) = self.load(&conf, &options, Purpose::Check, &mut world)?;
                return self.draw(&graph, &options, form);
            }
            None => options.words.pop(),
        };
        match action {
            None => {
                writeln!(
                    self.console.out,
                    "No actions specified, checking configuration..."
                )?;
                self.load(&conf, &options, Purpose::Check, &mut world)?;
                let directory = options.config_dir.as_ref().unwrap_or(&conf.config_dir);
                writeln!(self.console.out, "{} seems good", directory.display())?;
                Ok(0)
            }
            Some(action) => {
                self.confirm(&conf, &options, &action)?;
                let (graph, _) = self.load(&conf, &options, Purpose::Run, &mut world)?;
                self.perform(&graph, &conf, &options, &action)
            }
        }
    }

    /// The main configuration file's values.
    fn configuration(&mut self, _options: &Options) -> Result<MilkcheckConf, Trouble> {
        let path = self
            .environment
            .get("MILKCHECK_CONF")
            .map_or_else(|| PathBuf::from(milkcheck::DEFAULT_PATH), PathBuf::from);
        match milkcheck::load(&path).map_err(Trouble::Message)? {
            Some(conf) => Ok(conf),
            None => {
                if self.verbosity >= 2 {
                    let message = format!("Configuration file {} not found", path.display());
                    self.log("WARNING", &message);
                }
                Ok(MilkcheckConf::default())
            }
        }
    }

    /// Reads the service files and makes their graph.
    fn load(
        &mut self,
        conf: &MilkcheckConf,
        options: &Options,
        purpose: Purpose,
        world: &mut World<'_>,
    ) -> Result<(Graph, PathBuf), Trouble> {
        let directory = options.config_dir.as_ref().unwrap_or(&conf.config_dir);
        if !directory.is_dir() {
            let message = format!("Invalid directory '{}'", directory.display());
            return Err(Trouble::Message(message));
        }
        let Loaded {
            definitions,
            warnings,
        } = services::load(directory, &mut |name| world.names(name))?;
        if self.is_chatty() {
            for warning in &warnings {
                let message = format!("{}: {}", warning.origin, warning.message);
                self.log("WARNING", &message);
            }
        }
        let filter = node_filter(options);
        let graph = resolve(&definitions, purpose, &options.defines, &filter, world)?;
        Ok((graph, directory.clone()))
    }

    /// Asks before an action that wants it.
    fn confirm(
        &mut self,
        conf: &MilkcheckConf,
        options: &Options,
        action: &str,
    ) -> Result<(), Trouble> {
        if options.assume_yes || !conf.confirm_actions.iter().any(|name| name == action) {
            return Ok(());
        }
        write!(
            self.console.out,
            "Are you sure to run {action} action? (y/N) "
        )?;
        self.console.out.flush()?;
        let mut answer = String::new();
        // Who cannot answer has not said yes.
        let _ = io::stdin().lock().read_line(&mut answer);
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Trouble::Message("Execution aborted by user".to_owned())),
        }
    }

    fn draw(&mut self, graph: &Graph, options: &Options, form: GraphForm) -> Result<u8, Trouble> {
        let mut tops = services_named(graph, &options.words)?;
        if tops.is_empty() {
            tops = graph.tops().to_vec();
            tops.sort_by(|a, b| graph.service(*a).name.cmp(&graph.service(*b).name));
        }
        let left_out: Vec<ServiceId> = options
            .locked
            .iter()
            .filter_map(|name| graph.find(name))
            .collect();
        let view = GraphView::new(graph, tops, &left_out);
        match form {
            GraphForm::Dot => writeln!(self.console.out, "{}", view.dot())?,
            GraphForm::Svg => self.console.out.write_all(view.svg().as_bytes())?,
            GraphForm::Text => self.console.out.write_all(view.text().as_bytes())?,
        }
        Ok(0)
    }

    /// Runs an action.
    fn perform(
        &mut self,
        graph: &Graph,
        conf: &MilkcheckConf,
        options: &Options,
        action: &str,
    ) -> Result<u8, Trouble> {
        let is_reversed = conf.reverse_actions.iter().any(|name| name == action);
        let direction = if is_reversed {
            Direction::Reverse
        } else {
            Direction::Forward
        };
        let request = Request {
            action,
            direction,
            services: services_named(graph, &options.words)?,
            locked: options
                .locked
                .iter()
                .filter_map(|name| graph.find_top(name))
                .collect(),
            tags: options.tags.clone(),
            no_dependencies: options.no_dependencies,
        };
        if graph
            .actions()
            .iter()
            .any(|action| matches!(action.task, Task::Haproxy(_)))
        {
            let message = "native HAProxy actions cannot be run yet".to_owned();
            return Err(Trouble::System(message));
        }
        let mut walk = Walk::new(graph, &request)?;
        let report = options.report.unwrap_or(conf.report);
        let is_live = self.console.out_is_terminal && self.console.err_is_terminal;
        let look = ServiceLook {
            verbosity: options.verbosity,
            summary: match report {
                Report::No => SummaryReport::No,
                Report::Default => SummaryReport::Short,
                Report::Full => SummaryReport::Full,
            },
            width: self.columns(),
            live: is_live,
            bare: false,
            escape: self.console.out_is_terminal,
        };
        let (transport, limits) = self.way(graph, options)?;
        let scratch = self
            .environment
            .get("TMPDIR")
            .map_or_else(|| "/tmp".into(), PathBuf::from);
        let means = ServiceMeans {
            here: &Shell,
            remote: &*transport,
            native: &|_, _| Box::new(crate::work::ping::Ping),
            fanout: NonZeroUsize::new(conf.fanout).unwrap_or(NonZeroUsize::MIN),
            limits,
            dry_run: options.dry_run,
            scratch: &scratch,
        };
        let mut reporter =
            ServiceText::new(graph, look, &mut self.console.out, &mut self.console.err);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Trouble::System(format!("cannot start: {error}")))?;
        let (end, signal) = runtime.block_on(async {
            let mut signals = Signals::listen()
                .map_err(|error| Trouble::System(format!("cannot listen to signals: {error}")))?;
            let mut enter = Enter::listen();
            let requests = Requests {
                stops: &mut signals.stops,
                questions: &mut enter.pressed,
            };
            let end = run_services(graph, &mut walk, &means, requests, &mut reporter).await;
            Ok::<_, Trouble>((end, signals.first()))
        })?;
        runtime.shutdown_background();
        match end {
            ServicesEnd::Over => {
                let verdict = walk.verdict();
                Ok(if verdict.is_failure() {
                    6
                } else if verdict == Status::Warning {
                    3
                } else {
                    0
                })
            }
            ServicesEnd::Interrupted => Ok(signal.map_or(130, |number| 128 + number)),
            ServicesEnd::OutputLost(error) => Err(error.into()),
        }
    }

    /// How nodes are reached, if any is.
    fn way(
        &mut self,
        graph: &Graph,
        options: &Options,
    ) -> Result<(Box<dyn Transport>, Limits), Trouble> {
        let is_remote = graph
            .actions()
            .iter()
            .any(|action| action.place == Place::Remote);
        if !is_remote || options.dry_run {
            return Ok((Box::new(Shell), Limits::default()));
        }
        let targets = Targets {
            lab: options.lab,
            ..Targets::default()
        };
        let mut context = Context::new(
            self.called,
            self.environment.clone(),
            self.console,
            (
                targets,
                Default::default(),
                Default::default(),
                Default::default(),
            ),
        );
        context
            .way()
            .map_err(|error| Trouble::System(error.to_string()))
    }

    fn columns(&self) -> usize {
        let configured = || {
            self.environment
                .text("COLUMNS")
                .and_then(|text| text.parse().ok())
        };
        size::columns()
            .or_else(configured)
            .filter(|columns| *columns > 0)
            .unwrap_or(80)
    }

    /// Whether more is told than MilkCheck tells.
    fn is_chatty(&self) -> bool {
        self.verbosity >= 2 || self.called == "service"
    }

    /// Tells why nothing is run, and returns the exit code.
    fn tell(&mut self, trouble: Trouble) -> u8 {
        // What was written before comes first.
        let _ = self.console.out.flush();
        match trouble {
            Trouble::Options(message) => {
                self.log("CRITICAL", &format!("Invalid options: {message}"));
                self.console.complain("");
                let _ = self.console.out.write_all(HELP.as_bytes());
                USER_ERROR
            }
            Trouble::Message(message) => {
                if self.verbosity >= 1 {
                    self.log("ERROR", &message);
                }
                USER_ERROR
            }
            Trouble::Services(error) => {
                if self.verbosity >= 1 {
                    self.tell_error(&error);
                }
                USER_ERROR
            }
            Trouble::Output => OUTPUT_LOST,
            Trouble::System(message) => {
                if self.verbosity >= 1 {
                    self.log("ERROR", &message);
                }
                INTERNAL_ERROR
            }
        }
    }

    fn tell_error(&mut self, error: &ServiceError) {
        let is_told = self.is_chatty() || !error.classic;
        match &error.origin {
            Some(origin) if !error.classic => {
                self.log("ERROR", &format!("{origin}: {}", error.message));
            }
            _ => self.log("ERROR", &error.message),
        }
        if !is_told {
            return;
        }
        if let (Some(origin), true) = (&error.origin, error.classic) {
            self.console.complain(format_args!("  at {origin}"));
        }
        if let Some(hint) = &error.hint {
            self.console.complain(format_args!("  hint: {hint}"));
        }
    }

    /// One line of the log.
    fn log(&mut self, level: &str, message: &str) {
        let now = jiff::Zoned::now().strftime("%H:%M:%S");
        self.console
            .complain(format_args!("[{now}] {level:<8} - {message}"));
    }
}

/// The top-level services of these names.
fn services_named(graph: &Graph, names: &[String]) -> Result<Vec<ServiceId>, Trouble> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        match graph.find_top(name) {
            Some(id) if found.contains(&id) => {}
            Some(id) => found.push(id),
            None => return Err(Trouble::Message(format!("Undefined service [{name}]"))),
        }
    }
    Ok(found)
}

fn node_filter(options: &Options) -> NodeFilter {
    let names = |set: &NodeSet| set.iter().map(NodeName::from).collect::<Vec<_>>();
    let shown = |set: &Option<NodeSet>| set.as_ref().map(ToString::to_string).unwrap_or_default();
    NodeFilter {
        only: options.only.as_ref().map(names),
        without: match (&options.only, &options.without) {
            (None, Some(without)) => names(without),
            _ => Vec::new(),
        },
        shown_only: shown(&options.only),
        shown_without: shown(&options.without),
    }
}
