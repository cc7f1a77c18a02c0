//! What a verb of `hash` has in hand: its console, the configuration, and the way from options to a fleet.

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::color::colored;
use super::console::Console;
use super::error::CliError;
use super::exit::Statuses;
use super::flags::{Care, Reach, Show, Targets};
use super::groups::folders;
use super::resolve::nodes;
use super::tree::{self, Spoken, Wording};
use crate::config::{Color, Config, Environment, Limit, Output, Worker};
use crate::groups::Defaults;
use crate::haproxy::select::Selector;
use crate::lab::Lab;
use crate::nodeset::NodeSet;
use crate::plan::{Limits, NodeName, Plan};
use crate::report::{Form, Look, Transfer};
use crate::terminal::ask::Person;
use crate::terminal::signals::Signals;
use crate::topology::{Topology, TopologyError};
use crate::transport::Transport;
use crate::transport::launch::{LaunchedOnly, Launcher};
use crate::transport::local::Local;
use crate::work::haproxy::Sockets;

/// What a verb has in hand.
#[derive(Debug)]
pub struct Context<'a> {
    /// The name the program was called by, for messages.
    pub called: &'a str,
    /// The environment.
    pub environment: Environment,
    /// Where to write.
    pub console: &'a mut Console,
    /// Which nodes were asked for.
    pub targets: Targets,
    /// How they are reached.
    pub reach: Reach,
    /// How answers are shown.
    pub show: Show,
    /// How careful to be.
    pub care: Care,
    /// What the verb copies, for the progress.
    pub transfer: Option<Transfer>,
    /// The words that select servers, as they were typed.
    select: Vec<String>,
    config: Option<Config>,
}

/// The nodes of a run and the way to them.
#[derive(Debug)]
pub struct Fleet {
    /// The nodes, folded.
    pub nodes: NodeSet,
    /// All of them, with fanout and limits.
    pub plan: Plan,
    /// How they are reached.
    pub transport: Box<dyn Transport>,
    /// Who reaches some of them instead.
    pub launcher: Option<Box<dyn Launcher>>,
    /// The async runtime, with the signals it listens to.
    pub engine: Engine,
    /// The nodes themselves, with `--lab`.
    pub lab: Option<Lab>,
}

/// The way to nodes.
#[derive(Debug)]
pub struct Way {
    /// How they are reached.
    pub transport: Box<dyn Transport>,
    /// The time limits.
    pub limits: Limits,
    /// The nodes themselves, with `--lab`.
    pub lab: Option<Lab>,
}

/// The async runtime of a run.
#[derive(Debug)]
pub struct Engine {
    runtime: tokio::runtime::Runtime,
}

impl Engine {
    /// One thread: it serves a thousand nodes a second, and costs less per node than several.
    ///
    /// # Errors
    /// When the system refuses what it is made of.
    pub fn start() -> Result<Self, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::system(format!("cannot start: {error}")))?;
        Ok(Self { runtime })
    }

    /// Runs a future to its end, with the signals of the process.
    ///
    /// # Errors
    /// When the system refuses the signal handlers.
    pub fn block_on<T>(&self, work: impl AsyncFnOnce(&mut Signals) -> T) -> Result<T, CliError> {
        self.runtime.block_on(async {
            let mut signals = Signals::listen()
                .map_err(|error| CliError::system(format!("cannot listen to signals: {error}")))?;
            Ok(work(&mut signals).await)
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A look-up of a name may hang in a thread of the runtime's pool: it must not hold up the end.
        if let Ok(empty) = tokio::runtime::Builder::new_current_thread().build() {
            std::mem::replace(&mut self.runtime, empty).shutdown_background();
        }
    }
}

impl<'a> Context<'a> {
    /// A context for what was typed. Nothing is read yet.
    pub fn new(
        called: &'a str,
        environment: Environment,
        console: &'a mut Console,
        (targets, reach, show, care): (Targets, Reach, Show, Care),
    ) -> Self {
        Self {
            called,
            environment,
            console,
            targets,
            reach,
            show,
            care,
            transfer: None,
            select: Vec::new(),
            config: None,
        }
    }

    /// The configuration, read at the first call.
    ///
    /// # Errors
    /// A file or variable that cannot be used.
    pub fn config(&mut self) -> Result<&Config, CliError> {
        if self.config.is_none() {
            self.config = Some(Config::load(&self.environment)?);
        }
        self.config
            .as_ref()
            .ok_or_else(|| CliError::config("no configuration"))
    }

    /// The error for a command line without a verb.
    #[must_use]
    pub fn no_verb(&self) -> CliError {
        let hint = "see hapsh --help";
        match self.targets.nodes.as_slice() {
            // With the shell's nullglob an unquoted lb[1-2] vanishes, and -w takes the verb instead.
            [only] if super::front::hash::is_verb(only) => CliError::usage(format!(
                "no verb: -w took `{only}` as the node set; was the pattern removed by the shell (nullglob)?"
            ))
            .hint("quote it: -w 'lb[1-2]'"),
            _ => CliError::usage("no verb and no command").hint(hint),
        }
    }

    /// The nodes that the command line names.
    ///
    /// # Errors
    /// A node set that cannot be read, an unknown group, an empty result.
    pub fn nodes(&mut self) -> Result<NodeSet, CliError> {
        let values = self.config()?.values.clone();
        let (called, console) = (self.called, &mut *self.console);
        let mut tell = |text| console.complain(format_args!("{called}: {text}"));
        nodes::nodes(&self.targets, &values, &self.environment, &mut tell)
    }

    /// The servers that a verb's words mean.
    ///
    /// # Errors
    /// A word that could mean no server.
    pub fn selectors(&mut self, words: &[String]) -> Result<Vec<Selector>, CliError> {
        self.select = words.to_vec();
        words
            .iter()
            .map(|word| Selector::parse(word).map_err(|error| CliError::usage(error.to_string())))
            .collect()
    }

    /// The stats sockets of the nodes.
    ///
    /// # Errors
    /// A socket that cannot be one, or a configuration that cannot be used.
    pub fn sockets(&mut self) -> Result<Sockets, CliError> {
        let asked = self.reach.socket.clone();
        let values = self.config()?.values.clone();
        let groups = nodes::groups(&self.environment);
        super::haproxy::sockets::sockets(&asked, &values, &groups)
    }

    /// Everything a run needs, resolved.
    ///
    /// # Errors
    /// Whatever the user got wrong; nothing has been contacted then.
    pub fn fleet(&mut self) -> Result<Fleet, CliError> {
        let nodes = self.nodes()?;
        if let Some(word) = nodes::left_over(&self.targets, &self.select) {
            self.console.complain(format_args!(
                "{}: warning: {}; {}",
                self.called,
                word.message(),
                word.hint()
            ));
        }
        let names: Arc<[NodeName]> = nodes.iter().map(NodeName::from).collect();
        let plan = Plan::all(names, self.fanout()?, self.limits()?);
        let engine = Engine::start()?;
        let lab = if self.targets.lab {
            Some(super::verb::lab::for_run(&nodes, self)?)
        } else {
            None
        };
        let transport: Arc<dyn Transport> = self.transport(&plan.nodes, &nodes.to_string())?.into();
        let launcher = match self.launcher()? {
            None => self.gateways(&transport)?,
            launcher => launcher,
        };
        let transport = Box::new(transport);
        Ok(Fleet {
            nodes,
            plan,
            transport,
            launcher,
            engine,
            lab,
        })
    }

    /// A verb that changes state refuses a target that may be what a glob left over.
    ///
    /// # Errors
    /// Exit code 4, unless `--yes`.
    pub fn refuse_shrunken_glob(&self) -> Result<(), CliError> {
        match nodes::left_over(&self.targets, &self.select) {
            Some(word) if !self.care.yes => Err(CliError::refused(format!(
                "{}; nothing was changed",
                word.message()
            ))
            .hint(format!("{}, or add --yes", word.hint()))),
            _ => Ok(()),
        }
    }

    /// Says what would be done, and on which nodes.
    ///
    /// # Errors
    /// Targets that cannot be resolved.
    pub fn dry_run(&mut self, what: &str) -> Result<u8, CliError> {
        let nodes = self.nodes()?;
        // What cannot be written is told when the console is closed.
        let _ = writeln!(self.console.out, "{nodes}: {what}");
        self.console.complain(format_args!(
            "{}: dry run: nothing was contacted",
            self.called
        ));
        Ok(0)
    }

    /// The person at the terminal.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn person(&self) -> Result<Person, CliError> {
        let err = self.console.err.try_clone();
        let err = err.map_err(|error| CliError::system(error.to_string()))?;
        let called = self.called.to_owned();
        Ok(Person::new(self.console.floor.clone(), move |message| {
            // Nothing can be done if that fails.
            let _ = writeln!(&err, "{called}: warning: {message}");
        }))
    }

    /// The folder for output that outgrows memory: `$TMPDIR`, else `/tmp`.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.environment
            .get("TMPDIR")
            .map_or_else(|| "/tmp".into(), PathBuf::from)
    }

    /// What a command's exit statuses mean here.
    #[must_use]
    pub fn statuses(&self) -> Statuses {
        if self.show.max_status {
            Statuses::Largest
        } else {
            Statuses::Command
        }
    }

    /// The form of the output.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub fn output(&mut self) -> Result<Output, CliError> {
        let configured = self.config()?.values.output;
        Ok(match (self.show.output, self.show.json, self.show.jsonl) {
            (Some(output), _, _) => output,
            (None, true, _) => Output::Json,
            (None, _, true) => Output::Jsonl,
            (None, false, false) => configured.unwrap_or(Output::Text),
        })
    }

    /// How the run is shown.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub fn look(&mut self) -> Result<Look, CliError> {
        let form = match self.output()? {
            Output::Json => Form::Json,
            Output::Jsonl => Form::Jsonl,
            Output::Text if self.show.lines => Form::Lines,
            Output::Text if self.show.blocks || self.show.blocks_all => Form::Blocks,
            Output::Text => Form::Gathered,
        };
        let is_gathered = matches!(form, Form::Gathered | Form::Blocks);
        for (option, is_given) in [
            ("--diff", self.show.diff),
            ("--normalize", self.show.normalize),
        ] {
            if is_given && !is_gathered {
                return Err(CliError::usage(format!(
                    "{option} goes with gathered text only, not with JSON or -L"
                )));
            }
        }
        let color = match self.show.color {
            Some(color) => color,
            None => self.config()?.values.color.unwrap_or(Color::Auto),
        };
        let (out, err) = (self.console.out_is_terminal, self.console.err_is_terminal);
        Ok(Look {
            program: self.called.to_owned(),
            form,
            labels: !self.show.no_label,
            merge_err: self.show.blocks_all,
            diff: self.show.diff,
            normalize: self.show.normalize,
            notes: !self.show.quiet,
            color_out: colored(color, &self.environment, out),
            color_err: colored(color, &self.environment, err),
            escape_out: out,
            escape_err: err,
            progress: err
                && !self.show.quiet
                && matches!(form, Form::Gathered | Form::Blocks | Form::Lines),
            floor: self.console.floor.clone(),
            transfer: self.transfer.clone(),
        })
    }

    pub(super) fn fanout(&mut self) -> Result<NonZeroUsize, CliError> {
        let asked = match self.reach.fanout {
            Some(fanout) => fanout,
            None => self.config()?.values.fanout.unwrap_or(NonZeroUsize::MIN),
        };
        // One descriptor a node at work; the rest of the process needs some too.
        let files = crate::transport::raise_file_limit();
        let most = NonZeroUsize::new(files.saturating_sub(64)).unwrap_or(NonZeroUsize::MIN);
        if asked > most {
            self.console.complain(format_args!(
                "{}: warning: fanout {asked} needs more open files than the limit of {files} allows; using {most}",
                self.called
            ));
        }
        Ok(asked.min(most))
    }

    /// The way to the nodes of a run that plans by itself.
    ///
    /// # Errors
    /// A configuration that cannot be used, or a lab that cannot be stood up.
    pub fn way(&mut self, nodes: &NodeSet) -> Result<Way, CliError> {
        let limits = self.limits()?;
        let lab = if self.targets.lab && !nodes.is_empty() {
            Some(super::verb::lab::for_run(nodes, self)?)
        } else {
            None
        };
        let names: Vec<NodeName> = nodes.iter().map(NodeName::from).collect();
        let transport = self.transport(&names, &nodes.to_string())?;
        Ok(Way {
            transport,
            limits,
            lab,
        })
    }

    fn limits(&mut self) -> Result<Limits, CliError> {
        let asked = self.reach.clone();
        let values = &self.config()?.values;
        let pick = |option: Option<Duration>, configured: Option<Limit>| {
            option.map(Limit).or(configured).and_then(Limit::get)
        };
        Ok(Limits {
            connect: pick(asked.connect_timeout, values.connect_timeout),
            authenticate: pick(None, values.auth_timeout),
            idle: pick(asked.idle, values.idle_timeout),
            command: pick(asked.command_timeout, values.command_timeout),
            deadline: pick(asked.deadline, values.deadline),
        })
    }

    fn transport(
        &mut self,
        nodes: &[NodeName],
        folded: &str,
    ) -> Result<Box<dyn Transport>, CliError> {
        match self.worker()? {
            Worker::Exec => Ok(Box::new(Local::new(nodes, folded.to_owned()))),
            Worker::Ssh => super::reach::openssh(self),
            Worker::Native => super::reach::native(self),
            Worker::Rsh => super::reach::rsh(self),
            Worker::Pdsh => Ok(Box::new(LaunchedOnly("pdsh"))),
            Worker::Slurm => Ok(Box::new(LaunchedOnly("slurm"))),
        }
    }

    /// The way to other nodes than those it was made for. What it knows of keys and hops is kept.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub(super) fn redirect(
        &mut self,
        transport: &mut Box<dyn Transport>,
        nodes: &[NodeName],
        folded: &str,
    ) -> Result<(), CliError> {
        if self.worker()? == Worker::Exec {
            *transport = self.transport(nodes, folded)?;
        }
        Ok(())
    }

    /// How many sessions may be kept beside those of the nodes at work: one descriptor each.
    #[must_use]
    pub(super) fn spare_sessions(plan: &Plan) -> usize {
        crate::transport::raise_file_limit()
            .saturating_sub(64)
            .saturating_sub(plan.fanout.get())
    }

    /// Who reaches nodes by itself.
    fn launcher(&mut self) -> Result<Option<Box<dyn Launcher>>, CliError> {
        Ok(match self.worker()? {
            Worker::Pdsh => Some(super::reach::pdsh(self)?),
            Worker::Slurm => Some(super::reach::slurm(self)?),
            Worker::Exec | Worker::Ssh | Worker::Native | Worker::Rsh => None,
        })
    }

    /// The gateways that lead to some of the nodes.
    fn gateways(
        &mut self,
        transport: &Arc<dyn Transport>,
    ) -> Result<Option<Box<dyn Launcher>>, CliError> {
        let install = self.reach.install_gateway;
        let worker = self.worker()?;
        let Some(topology) = self.topology()? else {
            return match install {
                true => Err(CliError::usage(
                    "--install-gateway without a topology; name one with --topology",
                )),
                false => Ok(None),
            };
        };
        let transport = match worker {
            Worker::Exec => super::reach::native(self)?.into(),
            Worker::Native | Worker::Ssh => Arc::clone(transport),
            Worker::Rsh | Worker::Pdsh | Worker::Slurm => return Ok(None),
        };
        let user = self.config()?.values.user.clone();
        let reach = crate::gateway::Reach {
            worker: match worker {
                Worker::Ssh => crate::gateway::Worker::Ssh,
                Worker::Native | Worker::Exec | Worker::Rsh | Worker::Pdsh | Worker::Slurm => {
                    crate::gateway::Worker::Native
                }
            },
            user: self.reach.user.clone().or(user),
            options: self.reach.ssh_option.clone(),
            local: worker == Worker::Exec,
        };
        let spoken = Spoken::new(self.called, &self.console.err, Wording::Hash)?;
        let mut gateways = tree::gateways(topology, transport, reach, Arc::new(spoken));
        if install {
            gateways.install = Some(tree::program()?);
        }
        Ok(Some(Box::new(gateways)))
    }

    /// The tree in force: that of the option or the configuration, else the one that ClusterShell's tools would use.
    fn topology(&mut self) -> Result<Option<Topology>, CliError> {
        let asked = self.reach.topology.clone();
        let by_worker = self.reach.worker.is_some() || self.targets.lab;
        let configured = self.config()?.values.topology.clone().map(PathBuf::from);
        let named = asked.or(configured.filter(|_| !by_worker));
        let wrong = |error: TopologyError| CliError::config(format!("topology: {error}"));
        if let Some(file) = named {
            return tree::read(&file, &self.environment)
                .map(Some)
                .map_err(wrong);
        }
        // The worker was named, so nothing is to come in between by itself.
        if by_worker {
            return Ok(None);
        }
        let folders = folders(&self.environment);
        let defaults = Defaults::load(&folders);
        let defaults = defaults.map_err(|error| CliError::config(error.to_string()))?;
        if defaults.auto_tree == Some(false) {
            return Ok(None);
        }
        let Some(file) = tree::found(&folders) else {
            return Ok(None);
        };
        match tree::read(&file, &self.environment) {
            // A file that all hosts of a site have need not have a place for this one.
            Err(TopologyError::Root(_) | TopologyError::NoRoute) => Ok(None),
            read => read.map(Some).map_err(wrong),
        }
    }

    /// How nodes are reached.
    pub(crate) fn worker(&mut self) -> Result<Worker, CliError> {
        Ok(match self.reach.worker {
            Some(worker) => worker,
            None => self.config()?.values.worker.unwrap_or(Worker::Native),
        })
    }

    /// A file's text, or standard input's for `-`.
    ///
    /// # Errors
    /// What the system said, with the file's name.
    pub fn read(path: &Path) -> Result<Vec<u8>, CliError> {
        let read = if path == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .read_to_end(&mut bytes)
                .map(|_| bytes)
        } else {
            std::fs::read(path)
        };
        read.map_err(|error| CliError::usage(format!("cannot read {}: {error}", path.display())))
    }
}
