//! Runs an action over the services, and decides the exit code.

use std::num::NonZeroUsize;
use std::time::SystemTime;

use super::error::Error;
use super::last::Last;
use super::lookups::SystemLookups;
use super::native::Natives;
use super::options::Options;
use super::{FAILED, Front, INTERRUPTED, WARNED, clock, services_named};
use crate::cli::resolve::{Invocation, NodeAccess, reach};
use crate::cli::runtime::Runtime;
use crate::cli::state;
use crate::config::milkcheck::{MilkcheckConf, Report};
use crate::exec::services::{ServiceSettings, ServicesEnd, run_services};
use crate::nodeset::NodeSet;
use crate::report::ServiceReporter;
use crate::report::services::{ServiceJson, ServiceLive, ServiceLook, ServiceText, SummaryReport};
use crate::service::{Direction, Graph, Place, Request, ServiceId, Status, Walk};
use crate::terminal::size;

impl Front<'_> {
    /// Runs an action.
    pub(super) fn perform(
        &mut self,
        graph: &Graph,
        (conf, options, action): (&MilkcheckConf, &Options, &str),
        lookups: &SystemLookups<'_>,
    ) -> Result<u8, Error> {
        let is_reversed = conf.reverse_actions.iter().any(|name| name == action);
        let direction = if is_reversed {
            Direction::Reverse
        } else {
            Direction::Forward
        };
        let last = self.last(conf, options);
        let services = match options.failed_of_last {
            true => failed_of(last.as_ref(), graph, action)?,
            false => services_named(graph, &options.words)?,
        };
        if options.failed_of_last && services.is_empty() {
            self.console.complain(format_args!(
                "{}: nothing failed in the last run of {action}",
                self.called
            ));
            return Ok(0);
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
            here: reach::here(),
            remote: remote.unwrap_or(reach::here()),
            native: &natives,
            fanout: fanout.unwrap_or(NonZeroUsize::MIN),
            limits: limits.unwrap_or_default(),
            dry_run: options.dry_run,
            scratch: &scratch,
        };
        let look = self.look(options.report.unwrap_or(conf.report), direction);
        match self.show(graph, &mut walk, &settings, (look, options.json))? {
            (ServicesEnd::Over, _) => {
                self.remember(last.as_ref(), graph, &walk, (action, options));
                self.judge(&walk, &natives)
            }
            (ServicesEnd::Interrupted, signal) => {
                Ok(signal.map_or(INTERRUPTED, |number| 128 + number))
            }
            (ServicesEnd::OutputLost(error), _) => Err(error.into()),
        }
    }

    /// Runs the services and shows it. Also returns the first signal, if there was one.
    fn show(
        &mut self,
        graph: &Graph,
        walk: &mut Walk<'_>,
        settings: &ServiceSettings<'_>,
        (look, is_json): (ServiceLook, bool),
    ) -> Result<(ServicesEnd, Option<u8>), Error> {
        let terminal_lock = self.console.terminal_lock.clone();
        let screen = self.console.screen().filter(|_| look.bare);
        let (out, err) = (&mut self.console.out, &mut self.console.err);
        let mut reporter: Box<dyn ServiceReporter> = if is_json {
            Box::new(ServiceJson::new(graph, out, SystemTime::now))
        } else {
            let text = ServiceText::new(graph, look, out, err);
            match screen {
                Some(screen) => {
                    let lock = terminal_lock.clone();
                    Box::new(ServiceLive::new(graph, text, (screen, lock)))
                }
                None => Box::new(text),
            }
        };
        let runtime = Runtime::start().map_err(Error::system)?;
        runtime
            .attend(Some(&terminal_lock), async |requests| {
                run_services(graph, walk, settings, requests, &mut *reporter).await
            })
            .map_err(Error::system)
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

    /// The file that remembers what failed, if there is a place for it.
    fn last(&self, conf: &MilkcheckConf, options: &Options) -> Option<Last> {
        let state = state::folder(&self.asked.site.environment)?;
        let directory = options.config_dir.as_ref().unwrap_or(&conf.config_dir);
        Some(Last::new(&state, directory))
    }

    /// Remembers what failed, unless nothing was run.
    fn remember(
        &mut self,
        last: Option<&Last>,
        graph: &Graph,
        walk: &Walk<'_>,
        (action, options): (&str, &Options),
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

    /// Access to the nodes, if any action needs it.
    fn access(&self, graph: &Graph, words: &Options) -> Result<Option<NodeAccess>, Error> {
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
}

/// The services that failed in the last run of the action.
fn failed_of(last: Option<&Last>, graph: &Graph, action: &str) -> Result<Vec<ServiceId>, Error> {
    let failed = last.and_then(|last| last.failed(action));
    let failed = failed.ok_or_else(|| {
        Error::Message(format!("No run of {action} with these services is known"))
    })?;
    let services = failed.iter().filter_map(|name| graph.find_top(name));
    Ok(services.collect())
}
