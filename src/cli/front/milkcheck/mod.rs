//! `milkcheck`, and `hash service`: services in the order of their dependencies (MilkCheck 1.2.4).

mod embedded;
mod last;
mod lookups;
mod native;
mod options;
mod procedure;

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::request::Options;
use crate::cli::resolve::groups::resolver;
use crate::cli::resolve::{Invocation, NodeAccess, nodes};
use crate::cli::runtime::Runtime;
use crate::cli::site::Site;
use crate::cli::state;
use crate::config::Environment;
use crate::config::milkcheck::{self, MilkcheckConf, Report};
use crate::config::services::{self, Loaded};
use crate::exec::services::{ServiceSettings, ServicesEnd, run_services};
use crate::nodeset::NodeSet;
use crate::plan::NodeName;
use crate::report::ServiceReporter;
use crate::report::services::{
    GraphView, ServiceJson, ServiceLive, ServiceLook, ServiceText, SummaryReport,
};
use crate::service::definition::Definition;
use crate::service::expand::NodeFilter;
use crate::service::resolve::Purpose;
use crate::service::{
    Direction, Graph, Place, Request, ServiceError, ServiceId, Status, Walk, resolve,
};
use crate::terminal::size;
use crate::transport::shell::Shell;

use last::Last;
use lookups::SystemLookups;
use native::Natives;
use options::{GraphForm, HELP, OptionError, Options as Words, Parsed};

/// A mistake of the user.
const USER_ERROR: u8 = 9;
/// A mistake of ours.
const INTERNAL_ERROR: u8 = 12;
/// The reader of our output went away.
const OUTPUT_LOST: u8 = 1;
/// A service that counts has failed.
const FAILED: u8 = 6;
/// A service that counts has a warning, and none has failed.
const WARNED: u8 = 3;
/// Ctrl-C.
const INTERRUPTED: u8 = 130;

/// The name of the embedded procedure.
const PROCEDURE: &str = "haproxy";

/// Runs the front-end with the words behind its name.
pub fn run(called: &str, words: &[OsString], console: &mut Console) -> u8 {
    let site = Site::new(Environment::of_process());
    let options = Options::default();
    let asked = Invocation {
        called,
        options: &options,
        site: &site,
        grammar: clap::Command::default,
    };
    run_asked(asked, words, console)
}

/// The same with options of `hash` in front.
pub fn run_asked(asked: Invocation<'_>, words: &[OsString], console: &mut Console) -> u8 {
    let mut front = Front {
        called: asked.called,
        asked,
        console,
        verbosity: 1,
        is_embedded: false,
    };
    let code = match front.run(words) {
        Ok(code) => code,
        Err(error) => front.tell(error),
    };
    match console.close() {
        Ok(()) => code,
        Err(_) => OUTPUT_LOST,
    }
}

/// Why there is nothing to run.
#[derive(Debug)]
enum Error {
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

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        Self::Services(Box::new(error))
    }
}

impl From<CliError> for Error {
    fn from(error: CliError) -> Self {
        Self::Message(error.to_string())
    }
}

impl Error {
    fn system(error: CliError) -> Self {
        Self::System(error.to_string())
    }
}

impl From<io::Error> for Error {
    fn from(_: io::Error) -> Self {
        Self::Output
    }
}

struct Front<'a> {
    called: &'a str,
    asked: Invocation<'a>,
    console: &'a mut Console,
    verbosity: u8,
    /// The embedded procedure is in use.
    is_embedded: bool,
}

impl Front<'_> {
    fn run(&mut self, words: &[OsString]) -> Result<u8, Error> {
        let groups = resolver(&self.asked.site.environment);
        let mut lookups = SystemLookups { groups: &groups };
        let asked = options::parse(words, |text| lookups.lenient(text));
        let mut options = match asked {
            Ok(Parsed::Version) => {
                writeln!(self.console.out, "milkcheck 1.2.4")?;
                return Ok(0);
            }
            Ok(Parsed::Help) => {
                self.console.out.write_all(HELP.as_bytes())?;
                return Ok(0);
            }
            Ok(Parsed::Print) => return self.print_procedure(),
            Ok(Parsed::Run(options)) => options,
            Err(OptionError::Invalid(message)) => return Err(Error::Options(message)),
            Err(OptionError::Variable(message)) => return Err(Error::Message(message)),
        };
        self.verbosity = options.verbosity;
        self.lay_over(&mut options)?;
        let conf = self.configuration(&options)?;
        let action = match options.graph {
            Some(form) => {
                let graph = self.load(&conf, &mut options, Purpose::Check, &mut lookups)?;
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
                self.load(&conf, &mut options, Purpose::Check, &mut lookups)?;
                let directory = options.config_dir.as_ref().unwrap_or(&conf.config_dir);
                writeln!(self.console.out, "{} seems good", directory.display())?;
                Ok(0)
            }
            Some(action) => {
                self.confirm(&conf, &options, &action)?;
                let graph = self.load(&conf, &mut options, Purpose::Run, &mut lookups)?;
                self.perform(&graph, (&conf, &options, &action), &lookups)
            }
        }
    }

    /// The main configuration file's values.
    fn configuration(&mut self, _options: &Words) -> Result<MilkcheckConf, Error> {
        let path = self
            .environment()
            .get("MILKCHECK_CONF")
            .map_or_else(|| PathBuf::from(milkcheck::DEFAULT_PATH), PathBuf::from);
        match milkcheck::load(&path).map_err(Error::Message)? {
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
        options: &mut Words,
        purpose: Purpose,
        lookups: &mut SystemLookups<'_>,
    ) -> Result<Graph, Error> {
        let directory = options.config_dir.as_ref().unwrap_or(&conf.config_dir);
        let is_of_procedure =
            |word: &String| word == PROCEDURE || procedure::part(PROCEDURE, word).is_some();
        let names_procedure = options.words.iter().any(is_of_procedure);
        let mut loaded = if directory.is_dir() {
            services::load(directory, &mut |name| lookups.names(name))?
        } else if names_procedure {
            Loaded::default()
        } else {
            let message = format!("Invalid directory '{}'", directory.display());
            return Err(Error::Message(message));
        };
        let is_defined = |service: &Definition| service.name == PROCEDURE;
        if names_procedure && !loaded.definitions.services.iter().any(is_defined) {
            self.add_procedure(&mut loaded.definitions, options)?;
        }
        for warning in &loaded.warnings {
            if self.is_chatty() || warning.is_loss && self.verbosity >= 1 {
                let message = format!("{}: {}", warning.origin, warning.message);
                self.log("WARNING", &message);
            }
        }
        let filter = node_filter(options);
        let defines = &options.defines;
        let graph = resolve(&loaded.definitions, purpose, defines, &filter, lookups)?;
        Ok(graph)
    }

    fn environment(&self) -> &Environment {
        &self.asked.site.environment
    }

    /// Lays what stands in front of `service` over the words behind it.
    fn lay_over(&mut self, words: &mut Words) -> Result<(), Error> {
        let Options {
            targets,
            care,
            reach: _,
            show: _,
            order: _,
            rollout: _,
        } = self.asked.options;
        words.lab |= targets.lab;
        words.dry_run |= care.dry_run.is_some();
        words.assume_yes |= care.yes;
        if targets.names_nodes() {
            let only = nodes::of(self.asked, self.console)?;
            words.restrict(only);
        } else if targets.leaves_out() {
            let error = CliError::usage("nodes are left out of none that are named");
            return Err(error
                .hint("name some with -w, or put -x behind `service`")
                .into());
        }
        Ok(())
    }

    /// Asks before an action that wants it.
    fn confirm(
        &mut self,
        conf: &MilkcheckConf,
        options: &Words,
        action: &str,
    ) -> Result<(), Error> {
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
            _ => Err(Error::Message("Execution aborted by user".to_owned())),
        }
    }

    fn draw(&mut self, graph: &Graph, options: &Words, form: GraphForm) -> Result<u8, Error> {
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
        (conf, options, action): (&MilkcheckConf, &Words, &str),
        lookups: &SystemLookups<'_>,
    ) -> Result<u8, Error> {
        let is_reversed = conf.reverse_actions.iter().any(|name| name == action);
        let direction = if is_reversed {
            Direction::Reverse
        } else {
            Direction::Forward
        };
        let last = self.last(conf, options);
        let mut services = services_named(graph, &options.words)?;
        if options.failed_of_last {
            let failed = last.as_ref().and_then(|last| last.failed(action));
            let failed = failed.ok_or_else(|| {
                Error::Message(format!("No run of {action} with these services is known"))
            })?;
            services = failed
                .iter()
                .filter_map(|name| graph.find_top(name))
                .collect();
            if services.is_empty() {
                self.console.complain(format_args!(
                    "{}: nothing failed in the last run of {action}",
                    self.called
                ));
                return Ok(0);
            }
        }
        let top = |name: &String| graph.find_top(name);
        let request = Request {
            action,
            direction,
            services,
            locked: options.locked.iter().filter_map(top).collect(),
            tags: options.tags.clone(),
            no_dependencies: options.no_dependencies,
        };
        let mut walk = Walk::new(graph, &request)?;
        self.know_action(graph, &walk, action)?;
        let natives = Natives::prepare(
            (graph, &walk, action),
            self.asked,
            self.console,
            (lookups.groups, self.is_embedded),
        )?;
        let access = self.access(graph, options)?;
        let remote = access.as_ref().map(|access| &*access.reached.transport);
        let limits = access.as_ref().map(|access| access.limits);
        let scratch = self.asked.site.scratch();
        let fanout = self
            .asked
            .options
            .reach
            .fanout
            .or(NonZeroUsize::new(conf.fanout));
        let settings = ServiceSettings {
            here: &Shell,
            remote: remote.unwrap_or(&Shell),
            native: &natives,
            fanout: fanout.unwrap_or(NonZeroUsize::MIN),
            limits: limits.unwrap_or_default(),
            dry_run: options.dry_run,
            scratch: &scratch,
        };
        let look = self.look(options.report.unwrap_or(conf.report), direction);
        let terminal_lock = self.console.terminal_lock.clone();
        let (out, err) = (&mut self.console.out, &mut self.console.err);
        let mut reporter: Box<dyn ServiceReporter> = if options.json {
            Box::new(ServiceJson::new(graph, out, SystemTime::now))
        } else {
            let text = ServiceText::new(graph, look, out, err);
            if look.bare {
                Box::new(ServiceLive::new(graph, text))
            } else {
                Box::new(text)
            }
        };
        let runtime = Runtime::start().map_err(Error::system)?;
        let (end, signal) = runtime
            .attend(Some(&terminal_lock), async |requests| {
                run_services(graph, &mut walk, &settings, requests, &mut *reporter).await
            })
            .map_err(Error::system)?;
        drop(reporter);
        match end {
            ServicesEnd::Over => {
                self.remember(last.as_ref(), graph, &walk, (action, options));
                self.judge(&walk, &natives)
            }
            ServicesEnd::Interrupted => Ok(signal.map_or(INTERRUPTED, |number| 128 + number)),
            ServicesEnd::OutputLost(error) => Err(error.into()),
        }
    }

    /// The exit code of a run that came to its end.
    fn judge(&mut self, walk: &Walk<'_>, natives: &Natives) -> Result<u8, Error> {
        if natives.changed() && self.verbosity > 0 {
            let called = self.called;
            self.console.complain(format_args!(
                "{called}: note: HAProxy forgets this at its next reload or restart"
            ));
        }
        let verdict = walk.verdict();
        let unmatched = natives.unmatched();
        for server in &unmatched {
            self.log(
                "ERROR",
                &format!("No instance of the run has the server '{server}'"),
            );
        }
        Ok(if verdict.is_failure() || !unmatched.is_empty() {
            FAILED
        } else if verdict == Status::Warning {
            WARNED
        } else {
            0
        })
    }

    fn look(&self, report: Report, direction: Direction) -> ServiceLook {
        let is_live = self.console.out_is_terminal && self.console.err_is_terminal;
        ServiceLook {
            verbosity: self.verbosity,
            summary: match report {
                Report::No => SummaryReport::No,
                Report::Default => SummaryReport::Short,
                Report::Full => SummaryReport::Full,
            },
            width: self.columns(),
            live: is_live,
            bare: is_live && self.called == "service" && self.verbosity > 0,
            escape: self.console.out_is_terminal,
            timed: (self.called == "service").then_some(direction),
            clock,
        }
    }

    /// Where it is remembered what failed, if there is such a place.
    fn last(&self, conf: &MilkcheckConf, options: &Words) -> Option<Last> {
        let state = state::folder(&self.asked.site.environment)?;
        let directory = options.config_dir.as_ref().unwrap_or(&conf.config_dir);
        Some(Last::new(&state, directory))
    }

    /// Remembers what failed. A run that looks at nothing is not worth remembering.
    fn remember(
        &mut self,
        last: Option<&Last>,
        graph: &Graph,
        walk: &Walk<'_>,
        (action, options): (&str, &Words),
    ) {
        let (Some(last), false) = (last, options.dry_run) else {
            return;
        };
        let failed = graph
            .tops()
            .iter()
            .filter(|id| walk.status(**id).is_some_and(Status::is_failure))
            .map(|id| graph.service(*id).name.to_string())
            .collect();
        if let (Err(error), true) = (last.remember(action, failed), self.is_chatty()) {
            self.log("WARNING", &format!("Cannot remember what failed: {error}"));
        }
    }

    /// How nodes are reached, if any is.
    fn access(&self, graph: &Graph, words: &Words) -> Result<Option<NodeAccess>, Error> {
        let is_remote = graph
            .actions()
            .iter()
            .any(|action| action.place == Place::Remote);
        if !is_remote || words.dry_run {
            return Ok(None);
        }
        let nodes: NodeSet = graph.nodes().iter().collect();
        let mut options = self.asked.options.clone();
        options.targets.lab = words.lab;
        let asked = Invocation {
            options: &options,
            ..self.asked
        };
        Ok(Some(NodeAccess::resolve(asked, &nodes, self.console)?))
    }

    fn columns(&self) -> usize {
        let configured = || {
            self.environment()
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
    fn tell(&mut self, error: Error) -> u8 {
        // What was written before comes first.
        let _ = self.console.out.flush();
        match error {
            Error::Options(message) => {
                self.log("CRITICAL", &format!("Invalid options: {message}"));
                self.console.complain("");
                let _ = self.console.out.write_all(HELP.as_bytes());
                USER_ERROR
            }
            Error::Message(message) => {
                if self.verbosity >= 1 {
                    self.log("ERROR", &message);
                }
                USER_ERROR
            }
            Error::Services(error) => {
                if self.verbosity >= 1 {
                    self.tell_error(&error);
                }
                USER_ERROR
            }
            Error::Output => OUTPUT_LOST,
            Error::System(message) => {
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
        let now = clock();
        self.console
            .complain(format_args!("[{now}] {level:<8} - {message}"));
    }
}

/// The local time of day.
fn clock() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}

/// The top-level services of these names.
fn services_named(graph: &Graph, names: &[String]) -> Result<Vec<ServiceId>, Error> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        match graph.find_top(name) {
            Some(id) if found.contains(&id) => {}
            Some(id) => found.push(id),
            None => return Err(Error::Message(format!("Undefined service [{name}]"))),
        }
    }
    Ok(found)
}

fn node_filter(options: &Words) -> NodeFilter {
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
