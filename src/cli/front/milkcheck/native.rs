//! Native HAProxy actions of a service run: `haproxy: status|enable|disable|drain`.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::cli::again::again;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::haproxy::notes::{self, Words};
use crate::cli::ledger::{About, Log};
use crate::cli::quote::quote;
use crate::cli::resolve::{Invocation, sockets};
use crate::event::{ErrorCode, Outcome, Summary};
use crate::exec::change::{Note, Order, Resources, What, change};
use crate::exec::services::{Native, NativeAct};
use crate::exec::{Executor, dispatch};
use crate::haproxy::change::Wanted;
use crate::haproxy::select::Selector;
use crate::haproxy::state::AdminWord;
use crate::nodeset::{Groups, NodeSet};
use crate::service::{ActionId, Graph, HaproxyTask, HaproxyVerb, Task, Walk};
use crate::work::haproxy::change::Goal;
use crate::work::haproxy::status::Status;
use crate::work::haproxy::{Masters, Sockets};

/// How long `enable` waits for full health.
const HEALTH: Duration = Duration::from_secs(30);

/// The native actions of a run, checked before anything is contacted.
pub(super) struct Natives {
    jobs: HashMap<ActionId, Job>,
    called: String,
    err: File,
    /// Where HAProxy's masters are.
    masters: Masters,
    /// Whether the actions are those of the embedded procedure.
    is_embedded: bool,
    /// How `hash` is called for what this front has no word for.
    again: String,
    /// Per server asked for: whether some instance had it.
    matched: RefCell<BTreeMap<String, bool>>,
    /// Whether a server was changed anywhere.
    changed: Cell<bool>,
}

struct Job {
    task: HaproxyTask,
    selectors: Vec<Selector>,
    sockets: Sockets,
    log: Option<Log>,
}

impl Natives {
    /// What the native actions of a walk need. `action` is the one asked for.
    pub(super) fn prepare(
        (graph, walk, action): (&Graph, &Walk<'_>, &str),
        asked: Invocation<'_>,
        console: &Console,
        (groups, is_embedded): (&dyn Groups, bool),
    ) -> Result<Self, CliError> {
        let participants: HashSet<_> = walk.participants().collect();
        let mut jobs = HashMap::new();
        for (at, known) in (0..).zip(graph.actions()) {
            let Task::Haproxy(task) = &known.task else {
                continue;
            };
            let id = ActionId(at);
            if !participants.contains(&known.service) {
                continue;
            }
            let is_asked = &*known.name == action;
            if is_asked && task.verb.changes() && task.servers.is_empty() {
                return Err(CliError::usage(format!(
                    "{}: no server to {}; nothing was contacted",
                    graph.action_name(id),
                    task.verb.as_str()
                ))
                .hint("name it with -D server=NAME"));
            }
            let sockets = sockets::of(&task.sockets, asked.site.values()?, groups)?;
            let log = if is_asked && task.verb.changes() {
                let verb = task.verb.as_str();
                let site = asked.site;
                let about = About {
                    verb,
                    lab: asked.options.targets.lab,
                    ..About::default()
                };
                Some(Log::new(site.values()?, &site.environment, about))
            } else {
                None
            };
            let job = Job {
                selectors: selectors(task)?,
                sockets,
                task: task.clone(),
                log,
            };
            jobs.insert(id, job);
        }
        let err = console
            .err
            .try_clone()
            .map_err(|error| CliError::system(error.to_string()))?;
        Ok(Self {
            jobs,
            called: asked.called.to_owned(),
            masters: sockets::masters(asked)?,
            is_embedded,
            again: again("hapsh", asked.options),
            err,
            matched: RefCell::new(BTreeMap::new()),
            changed: Cell::new(false),
        })
    }

    /// The servers that no instance of the run had.
    pub(super) fn unmatched(&self) -> Vec<String> {
        self.matched
            .borrow()
            .iter()
            .filter(|(_, matched)| !**matched)
            .map(|(server, _)| server.clone())
            .collect()
    }

    /// Whether a server was changed anywhere, which HAProxy forgets at its next reload.
    pub(super) fn changed(&self) -> bool {
        self.changed.get()
    }

    fn note_match(&self, task: &HaproxyTask, matched: bool) {
        if !task.servers.is_empty() {
            let mut known = self.matched.borrow_mut();
            *known.entry(task.servers.join(" ")).or_default() |= matched;
        }
    }

    /// How a change is made whatever the guard says. Of the embedded procedure there is no file to write it into.
    fn force(&self, job: &Job, act: &NativeAct<'_>) -> String {
        if !self.is_embedded {
            return "the key `force: true` of the action".to_owned();
        }
        let nodes: NodeSet = act
            .plan
            .selected
            .iter()
            .map(|node| act.plan.name(*node))
            .collect();
        let verb = job.task.verb.as_str();
        let select = job
            .selectors
            .iter()
            .map(|selector| quote(selector.as_str()));
        let select: Vec<String> = select.collect();
        format!(
            "{} -w {} {verb} {} --force",
            self.again,
            quote(&nodes.to_string()),
            select.join(" ")
        )
    }

    async fn status(&self, job: &Job, act: NativeAct<'_>) -> Summary {
        let names = Arc::clone(&act.plan.nodes);
        let mut status = Status::new(names, job.sockets.clone(), job.selectors.clone());
        status.shown.only_bad = job.task.bad || job.task.servers.is_empty();
        status.may_miss = true;
        let executor = Executor::new(act.transport, &status);
        let summary = dispatch(act.plan, executor, act.stops, act.log).await;
        let reached = summary
            .outcomes
            .iter()
            .any(|(_, outcome)| matches!(outcome, Outcome::Exited { .. }));
        // A node that could not be asked may have it.
        self.note_match(
            &job.task,
            status.matched.load(Ordering::Relaxed) || !reached,
        );
        summary
    }

    async fn change(&self, job: &Job, log: &Log, act: NativeAct<'_>) -> Summary {
        let (word, goal) = match job.task.verb {
            HaproxyVerb::Enable => (AdminWord::Ready, Goal::Healthy(HEALTH)),
            HaproxyVerb::Drain => (AdminWord::Drain, Goal::Set),
            HaproxyVerb::Disable | HaproxyVerb::Status => (AdminWord::Maint, Goal::Set),
        };
        let wanted = if word == AdminWord::Drain && !job.task.force {
            Wanted::AtLeast(word)
        } else {
            Wanted::State(word)
        };
        let order = Order {
            what: What::Alike(wanted, job.selectors.clone()),
            goal,
            sockets: job.sockets.clone(),
            masters: self.masters.clone(),
            force: job.task.force,
            force_hint: format!("{} does it all the same", self.force(job, &act)),
            partial_ok: false,
            rollback: false,
            canary: word == AdminWord::Maint,
            may_miss: true,
            dry_run: false,
        };
        let words = Words {
            again: self.again.clone(),
            force: format!("{} drains them all the same", self.force(job, &act)),
        };
        let mut log = log.renewed();
        let mut note = |note: Note| {
            for line in notes::lines(&note, &words) {
                // Nothing can be done if that fails.
                let _ = writeln!(&self.err, "{}: {line}", self.called);
            }
        };
        let resources = Resources {
            plan: act.plan,
            transport: act.transport,
            stops: act.stops,
            ledger: &mut log,
            reporter: act.log,
            note: &mut note,
        };
        let done = change(order, resources).await;
        if done.made {
            self.changed.set(true);
        }
        let is_well = |(_, outcome): &(_, Outcome)| *outcome == Outcome::OK;
        // Where something went wrong before, nothing is known about the rest.
        let known = done.summary.outcomes.iter().all(is_well);
        self.note_match(&job.task, done.matched || !known);
        done.summary
    }
}

impl Native for Natives {
    fn perform<'a>(&'a self, action: ActionId, act: NativeAct<'a>) -> LocalBoxFuture<'a, Summary> {
        Box::pin(async move {
            let Some(job) = self.jobs.get(&action) else {
                return refused(&act, "the action was not prepared");
            };
            if !job.task.verb.changes() {
                return self.status(job, act).await;
            }
            let Some(log) = &job.log else {
                return refused(
                    &act,
                    "only the action that was asked for may change anything",
                );
            };
            self.change(job, log, act).await
        })
    }
}

/// Every node fails.
fn refused(act: &NativeAct<'_>, why: &str) -> Summary {
    let outcome = |node| (node, Outcome::failed(ErrorCode::Guard, why));
    Summary {
        outcomes: act.plan.selected.iter().copied().map(outcome).collect(),
        ..Summary::default()
    }
}

/// Which servers are meant: `server`, in the backends of `backend` where it does not name one itself.
fn selectors(task: &HaproxyTask) -> Result<Vec<Selector>, CliError> {
    let parse =
        |text: &str| Selector::parse(text).map_err(|error| CliError::usage(error.to_string()));
    let servers: &[String] = if task.servers.is_empty() && !task.backends.is_empty() {
        &["*".to_owned()]
    } else {
        &task.servers
    };
    let mut selectors = Vec::new();
    for server in servers {
        if server.contains('/') || task.backends.is_empty() {
            selectors.push(parse(server)?);
        } else {
            for backend in &task.backends {
                selectors.push(parse(&format!("{backend}/{server}"))?);
            }
        }
    }
    Ok(selectors)
}
