//! `milkcheck`, and `hash service`: services in the order of their dependencies (MilkCheck 1.2.4).

mod embedded;
mod error;
mod last;
mod load;
mod lookups;
mod native;
mod options;
mod perform;
mod procedure;

use std::ffi::OsString;
use std::io::{self, BufRead, Write};

use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::request::Options;
use crate::cli::resolve::groups::resolver;
use crate::cli::resolve::{Invocation, nodes};
use crate::cli::site::Site;
use crate::config::Environment;
use crate::config::milkcheck::MilkcheckConf;
use crate::report::services::GraphView;
use crate::service::resolve::Purpose;
use crate::service::{Graph, ServiceError, ServiceId};

use error::Error;
use lookups::SystemLookups;
use options::{GraphForm, HELP, OptionError, Options as Words, Parsed};

/// An error of the user.
const USER_ERROR: u8 = 9;
/// An internal error.
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
        let mut lookups = SystemLookups {
            groups: &groups,
            environment: &self.asked.site.environment,
        };
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
        let conf = self.configuration()?;
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

    fn environment(&self) -> &Environment {
        &self.asked.site.environment
    }

    /// Applies the options in front of `service` to those behind it.
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
        // No answer is a no.
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
