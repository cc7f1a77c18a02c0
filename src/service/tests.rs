//! Walks over graphs: by hand for each rule, and at random for what must hold of all.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::plan::NodeName;

/// Builds graphs without files.
#[derive(Debug, Clone, Default)]
struct Builder {
    services: Vec<Service>,
    actions: Vec<Action>,
    nodes: Vec<NodeName>,
}

impl Builder {
    fn add(&mut self, parent: Option<ServiceId>, name: &str, body: Body) -> ServiceId {
        let id = ServiceId(u32::try_from(self.services.len()).unwrap());
        let (full_name, top) = match parent {
            None => (name.to_owned(), id),
            Some(parent) => {
                let above = &mut self.services[parent.index()];
                let Body::Members(members) = &mut above.body else {
                    panic!("{} is no group", above.full_name);
                };
                members.push(id);
                (format!("{}.{name}", above.full_name), above.top)
            }
        };
        self.services.push(Service {
            name: name.into(),
            full_name: full_name.into(),
            desc: None,
            parent,
            top,
            tags: Arc::new([]),
            body,
            links: Vec::new(),
            dependents: Vec::new(),
        });
        id
    }

    fn group(&mut self, parent: Option<ServiceId>, name: &str) -> ServiceId {
        self.add(parent, name, Body::Members(Vec::new()))
    }

    fn service(
        &mut self,
        parent: Option<ServiceId>,
        name: &str,
        actions: &[(&str, Target)],
    ) -> ServiceId {
        let id = self.add(parent, name, Body::Actions(Vec::new()));
        for (action, target) in actions {
            self.action(id, action, target.clone());
        }
        id
    }

    fn start(&mut self, name: &str) -> ServiceId {
        self.service(None, name, &[("start", Target::Local)])
    }

    fn action(&mut self, service: ServiceId, name: &str, target: Target) -> ActionId {
        let id = ActionId(u32::try_from(self.actions.len()).unwrap());
        self.actions.push(Action {
            name: name.into(),
            service,
            desc: None,
            target,
            place: Place::Remote,
            fanout: None,
            timeout: None,
            delay: Delay::default(),
            retry: 0,
            thresholds: Thresholds::default(),
            checks: Vec::new(),
            task: Task::Shell(Vec::new()),
        });
        let Body::Actions(actions) = &mut self.services[service.index()].body else {
            panic!("a group has no actions");
        };
        actions.push(id);
        id
    }

    fn link(&mut self, from: ServiceId, word: Word, to: ServiceId) {
        self.services[from.index()].links.push(Link { to, word });
    }

    fn nodes(&mut self, count: u32) {
        self.nodes = (0..count).map(|at| format!("n{at}").into()).collect();
    }

    fn graph(&self) -> Graph {
        Graph::new(
            self.services.clone(),
            self.actions.clone(),
            self.nodes.clone().into(),
        )
    }
}

fn on(nodes: &[u32]) -> Target {
    Target::Nodes(nodes.iter().copied().map(NodeId).collect())
}

/// What a run told its driver.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// Actions in the order they were to run, with their nodes.
    ran: Vec<(String, Target)>,
    /// Loud statuses.
    lines: Vec<(String, Status)>,
    /// Statuses of all, loud or quiet.
    all: BTreeMap<String, Status>,
    spared: Vec<(String, Status)>,
}

impl Told {
    fn names(&self) -> Vec<&str> {
        self.ran.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// Runs a walk to its end; `fails` gives the failed nodes of an action (none for success), `pick` chooses
/// which running action answers next.
fn drive(
    walk: &mut Walk<'_>,
    graph: &Graph,
    fails: impl Fn(&str) -> Option<Vec<u32>>,
    mut pick: impl FnMut(usize) -> usize,
) -> Told {
    let mut told = Told::default();
    let mut running = Vec::new();
    while !walk.is_over() {
        for step in walk.ready() {
            match step {
                Step::Run { action, target } => {
                    told.ran.push((graph.action_name(action), target));
                    running.push(action);
                }
                Step::Spared { action, status } => {
                    told.spared.push((graph.action_name(action), status));
                }
                Step::Settled {
                    service,
                    status,
                    quiet,
                } => {
                    let name = graph.service(service).full_name.to_string();
                    if !quiet && status > Status::Missing {
                        told.lines.push((name.clone(), status));
                    }
                    assert!(told.all.insert(name, status).is_none(), "settled twice");
                }
            }
        }
        if running.is_empty() {
            assert!(walk.is_over(), "nothing runs and nothing is over");
            break;
        }
        let action = running.swap_remove(pick(running.len()) % running.len());
        let ran = match fails(&graph.action_name(action)) {
            None => Ran::default(),
            Some(nodes) => Ran {
                failed: nodes.len().max(1) as u64,
                timed_out: 0,
                nodes: nodes.into_iter().map(NodeId).collect(),
            },
        };
        walk.settle(action, &ran);
    }
    told
}

fn run(graph: &Graph, request: &Request<'_>, failing: &[(&str, &[u32])]) -> (Told, Status) {
    let mut walk = Walk::new(graph, request).unwrap();
    let fails = |name: &str| {
        failing
            .iter()
            .find(|(failing, _)| *failing == name)
            .map(|(_, nodes)| nodes.to_vec())
    };
    let told = drive(&mut walk, graph, fails, |_| 0);
    (told, walk.verdict())
}

fn forward(action: &str) -> Request<'_> {
    Request::all(action, Direction::Forward)
}

fn lines(told: &Told) -> Vec<(&str, Status)> {
    told.lines
        .iter()
        .map(|(name, status)| (name.as_str(), *status))
        .collect()
}

#[test]
fn a_chain_stops_where_something_required_failed() {
    let mut builder = Builder::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| builder.start(name));
    builder.link(b, Word::Require, a);
    builder.link(c, Word::Require, b);
    let (told, verdict) = run(&builder.graph(), &forward("start"), &[("a.start", &[])]);
    let expected = [
        ("a", Status::Error),
        ("b", Status::DepError),
        ("c", Status::DepError),
    ];
    assert_eq!(lines(&told), expected);
    assert_eq!(verdict, Status::DepError);
}

#[test]
fn a_service_without_the_action_is_a_hole_in_the_chain() {
    let mut builder = Builder::default();
    let a = builder.start("a");
    let b = builder.service(None, "b", &[("other", Target::Local)]);
    let c = builder.start("c");
    builder.link(b, Word::Require, a);
    builder.link(c, Word::Require, b);
    let (told, verdict) = run(&builder.graph(), &forward("start"), &[("a.start", &[])]);
    assert_eq!(lines(&told), [("a", Status::Error), ("c", Status::Done)]);
    assert_eq!(verdict, Status::Done);
}

#[test]
fn failed_nodes_add_up_along_strong_links_and_stop_at_weak_ones() {
    // spec section 8: power, net, os, soft, anyway
    let mut builder = Builder::default();
    builder.nodes(10);
    let all: Vec<u32> = (0..10).collect();
    let on_all = on(&all);
    let [power, net, os, soft, anyway] = ["power", "net", "os", "soft", "anyway"]
        .map(|name| builder.service(None, name, &[("boot", on_all.clone())]));
    builder.link(net, Word::Filter, power);
    builder.link(os, Word::Filter, net);
    builder.link(soft, Word::Require, os);
    builder.link(anyway, Word::Weak, soft);
    builder.actions[2].thresholds.errors = 1;
    let failing: [(&str, &[u32]); 3] = [
        ("power.boot", &[1, 2]),
        ("net.boot", &[5]),
        ("os.boot", &[9]),
    ];
    let (told, verdict) = run(&builder.graph(), &forward("boot"), &failing);
    let expected = [
        ("power.boot", on_all.clone()),
        ("net.boot", on(&[0, 3, 4, 5, 6, 7, 8, 9])),
        ("os.boot", on(&[0, 3, 4, 6, 7, 8, 9])),
        ("soft.boot", on(&[0, 3, 4, 6, 7, 8])),
        ("anyway.boot", on_all),
    ];
    let expected = expected.map(|(name, target)| (name.to_owned(), target));
    assert_eq!(told.ran, expected);
    assert_eq!(
        lines(&told)[2..],
        [
            ("os", Status::Warning),
            ("soft", Status::Done),
            ("anyway", Status::Done)
        ]
    );
    assert_eq!(verdict, Status::Warning);
}

#[test]
fn nothing_left_to_run_on_is_skipped_even_behind_a_failure() {
    let mut builder = Builder::default();
    builder.nodes(2);
    let ping = builder.service(None, "ping", &[("start", on(&[0, 1]))]);
    let mount = builder.service(None, "mount", &[("start", on(&[0, 1]))]);
    let tail = builder.start("tail");
    let emptied = builder.service(None, "emptied", &[("start", on(&[]))]);
    builder.link(mount, Word::Filter, ping);
    builder.link(tail, Word::Require, mount);
    builder.link(emptied, Word::Require, ping);
    let (told, _) = run(
        &builder.graph(),
        &forward("start"),
        &[("ping.start", &[0, 1])],
    );
    assert_eq!(told.all["mount"], Status::Skipped);
    assert_eq!(told.all["tail"], Status::Done);
    assert_eq!(told.all["emptied"], Status::Skipped);
}

#[test]
fn check_runs_status_forward_and_the_action_itself_backward() {
    let mut builder = Builder::default();
    let actions: Vec<_> = ["start", "stop", "status"]
        .map(|name| (name, Target::Local))
        .into();
    let [net, db, web] = ["net", "db", "web"].map(|name| builder.service(None, name, &actions));
    builder.link(db, Word::Require, net);
    builder.link(web, Word::Check, db);
    let graph = builder.graph();
    let (told, _) = run(&graph, &forward("start"), &[]);
    assert_eq!(told.names(), ["net.status", "db.status", "web.start"]);
    let request = Request {
        services: vec![db],
        ..Request::all("stop", Direction::Reverse)
    };
    let (told, _) = run(&graph, &request, &[]);
    assert_eq!(told.names(), ["web.stop", "db.stop"]);
}

#[test]
fn groups_hold_their_members_back_and_speak_for_them_when_they_cannot_run() {
    let mut builder = Builder::default();
    let net = builder.start("net");
    let group = builder.group(None, "g");
    let x = builder.service(Some(group), "x", &[("start", Target::Local)]);
    let y = builder.service(Some(group), "y", &[("start", Target::Local)]);
    builder.link(y, Word::Weak, x);
    builder.link(group, Word::Require, net);
    let after = builder.start("after");
    builder.link(after, Word::Require, group);
    let graph = builder.graph();
    let (told, _) = run(&graph, &forward("start"), &[]);
    assert_eq!(
        told.names(),
        ["net.start", "g.x.start", "g.y.start", "after.start"]
    );
    let (told, verdict) = run(&graph, &forward("start"), &[("net.start", &[])]);
    let expected = [
        ("net", Status::Error),
        ("g", Status::DepError),
        ("after", Status::DepError),
    ];
    assert_eq!(lines(&told), expected, "the members say nothing");
    assert_eq!(verdict, Status::DepError);
    let (told, verdict) = run(&graph, &forward("start"), &[("g.x.start", &[])]);
    assert_eq!(
        told.all["g"],
        Status::Done,
        "a failure that only weak links follow is hidden"
    );
    assert_eq!(verdict, Status::Done);
}

#[test]
fn one_member_of_a_group_waits_for_what_the_group_waits_for() {
    let mut builder = Builder::default();
    let net = builder.start("net");
    let group = builder.group(None, "g");
    let x = builder.service(Some(group), "x", &[("start", Target::Local)]);
    builder.service(Some(group), "y", &[("start", Target::Local)]);
    builder.link(group, Word::Require, net);
    let site = builder.start("site");
    builder.link(site, Word::Require, x);
    let request = Request {
        services: vec![site],
        ..forward("start")
    };
    let (told, _) = run(&builder.graph(), &request, &[]);
    assert_eq!(told.names(), ["net.start", "g.x.start", "site.start"]);
    assert_eq!(told.all.get("g"), None, "the group itself does not run");
    let (told, _) = run(&builder.graph(), &request, &[("net.start", &[])]);
    let expected = [
        ("net", Status::Error),
        ("g.x", Status::DepError),
        ("site", Status::DepError),
    ];
    assert_eq!(lines(&told), expected);
}

#[test]
fn a_group_whose_leaves_lack_the_action_has_the_worst_of_those_that_ran() {
    let mut builder = Builder::default();
    let group = builder.group(None, "g");
    let x = builder.service(Some(group), "x", &[("start", Target::Local)]);
    let y = builder.service(Some(group), "y", &[]);
    builder.link(y, Word::Require, x);
    let (told, verdict) = run(&builder.graph(), &forward("start"), &[("g.x.start", &[])]);
    let expected = [("g.x", Status::Error), ("g", Status::DepError)];
    assert_eq!(lines(&told), expected);
    assert_eq!(verdict, Status::DepError);
}

#[test]
fn a_group_with_empty_targets_only_is_skipped_as_one() {
    let mut builder = Builder::default();
    let group = builder.group(None, "g");
    builder.service(Some(group), "x", &[("start", on(&[]))]);
    builder.service(Some(group), "y", &[("start", on(&[]))]);
    let graph = builder.graph();
    assert_eq!(
        lines(&run(&graph, &forward("start"), &[]).0),
        [],
        "nothing but empty targets in the whole run"
    );
    builder.start("other");
    let (told, _) = run(&builder.graph(), &forward("start"), &[]);
    assert_eq!(
        lines(&told).into_iter().collect::<HashSet<_>>(),
        HashSet::from([("g", Status::Skipped), ("other", Status::Done)])
    );
}

#[test]
fn locked_services_are_cut_out_and_do_not_pull() {
    let mut builder = Builder::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| builder.start(name));
    builder.link(b, Word::Require, a);
    builder.link(c, Word::Require, b);
    let graph = builder.graph();
    for (locked, ran) in [
        (vec![a], vec!["b.start", "c.start"]),
        (vec![b], vec!["c.start"]),
        (vec![a, b], vec!["c.start"]),
    ] {
        let request = Request {
            locked,
            ..forward("start")
        };
        assert_eq!(run(&graph, &request, &[]).0.names(), ran);
    }
    let request = Request {
        services: vec![b],
        no_dependencies: true,
        ..forward("start")
    };
    assert_eq!(run(&graph, &request, &[]).0.names(), ["b.start"]);
}

#[test]
fn tags_skip_but_still_pull() {
    let mut builder = Builder::default();
    let [a, b] = ["a", "b"].map(|name| builder.start(name));
    builder.services[a.index()].tags = Arc::new(["red".into()]);
    builder.link(b, Word::Require, a);
    let request = Request {
        tags: vec!["red".into()],
        ..forward("start")
    };
    let (told, _) = run(&builder.graph(), &request, &[]);
    assert_eq!(told.names(), ["a.start"]);
    assert_eq!(told.all["b"], Status::Skipped);
}

/// A service whose `start` checks `probe` and `status`, and `probe` checks `status`.
fn with_checks() -> Builder {
    let mut builder = Builder::default();
    builder.nodes(3);
    let svc = builder.add(None, "svc", Body::Actions(Vec::new()));
    let [start, probe, status, restart] =
        ["start", "probe", "status", "restart"].map(|name| builder.action(svc, name, on(&[0, 1])));
    builder.actions[start.index()].checks = vec![probe, status];
    builder.actions[probe.index()].checks = vec![status];
    builder.actions[restart.index()].checks = vec![status];
    let after = builder.service(None, "after", &[("start", on(&[0, 1, 2]))]);
    builder.link(after, Word::Require, svc);
    builder
}

#[test]
fn an_action_is_spared_when_its_checks_succeed() {
    let graph = with_checks().graph();
    let (told, _) = run(&graph, &forward("start"), &[]);
    assert_eq!(told.names(), ["svc.status", "after.start"]);
    let spared = ["svc.probe", "svc.start"].map(|name| (name.to_owned(), Status::Done));
    assert_eq!(told.spared, spared);
    assert_eq!(told.all["svc"], Status::Done);
}

#[test]
fn an_action_runs_when_one_check_fails_and_only_it_decides() {
    let graph = with_checks().graph();
    let (told, _) = run(&graph, &forward("start"), &[("svc.status", &[1])]);
    assert_eq!(
        told.names(),
        ["svc.status", "svc.probe", "svc.start", "after.start"]
    );
    assert_eq!(told.all["svc"], Status::Done);
    assert_eq!(
        told.ran[3].1,
        on(&[0, 1, 2]),
        "a node that failed in the check alone stays"
    );
}

#[test]
fn status_alone_never_starts_anything() {
    let graph = with_checks().graph();
    let (told, verdict) = run(&graph, &forward("status"), &[("svc.status", &[1])]);
    assert_eq!(told.names(), ["svc.status"]);
    assert_eq!(verdict, Status::DepError);
}

#[test]
fn a_warning_in_a_check_is_success_and_a_skipped_check_skips() {
    let mut builder = with_checks();
    builder.actions[2].thresholds.errors = 1;
    let (told, _) = run(&builder.graph(), &forward("start"), &[("svc.status", &[1])]);
    assert_eq!(told.names(), ["svc.status", "after.start"]);
    builder.actions[2].target = on(&[]);
    let (told, _) = run(&builder.graph(), &forward("start"), &[]);
    assert_eq!(told.names(), ["after.start"]);
    assert_eq!(told.all["svc"], Status::Skipped);
}

#[test]
fn loops_are_named_and_only_hurt_who_reaches_them() {
    let mut builder = Builder::default();
    let [a, b, c, free] = ["a", "b", "c", "free"].map(|name| builder.start(name));
    builder.link(a, Word::Require, b);
    builder.link(b, Word::Weak, a);
    builder.link(c, Word::Require, a);
    let graph = builder.graph();
    let expected = "Dependency loop: a -> b -> a";
    assert_eq!(graph.check().unwrap_err().message, expected);
    let all = Walk::new(&graph, &forward("start")).unwrap_err();
    assert_eq!(all.message, expected);
    let only = |id| Request {
        services: vec![id],
        ..forward("start")
    };
    assert_eq!(Walk::new(&graph, &only(c)).unwrap_err().message, expected);
    assert_eq!(run(&graph, &only(free), &[]).0.names(), ["free.start"]);
}

#[test]
fn a_member_that_needs_its_own_group_is_a_loop() {
    let mut builder = Builder::default();
    let group = builder.group(None, "g");
    let x = builder.service(Some(group), "x", &[]);
    builder.link(x, Word::Require, group);
    let message = builder.graph().check().unwrap_err().message;
    assert_eq!(message, "Dependency loop: g -> g.x -> g");
    let mut builder = Builder::default();
    let a = builder.start("a");
    builder.link(a, Word::Require, a);
    let message = builder.graph().check().unwrap_err().message;
    assert_eq!(message, "Dependency loop: a -> a");
}

#[test]
fn ten_thousand_in_a_row_and_a_hundred_thousand_arrows() {
    for direction in [Direction::Forward, Direction::Reverse] {
        let mut builder = Builder::default();
        let ids: Vec<_> = (0..10_000)
            .map(|at| builder.start(&format!("s{at}")))
            .collect();
        for (at, id) in ids.iter().enumerate().skip(1) {
            for back in 1..=10.min(at) {
                builder.link(*id, Word::Filter, ids[at - back]);
            }
        }
        let graph = builder.graph();
        let mut walk = Walk::new(&graph, &Request::all("start", direction)).unwrap();
        let told = drive(&mut walk, &graph, |_| None, |_| 0);
        assert_eq!(told.ran.len(), 10_000);
        let first = if direction == Direction::Forward {
            "s0.start"
        } else {
            "s9999.start"
        };
        assert_eq!(told.ran[0].0, first);
    }
}

/// A random graph: a tree of groups, links from later to earlier things that close no circle.
#[derive(Debug, Clone)]
struct Shape {
    /// Per entry: its parent among the groups before it (or none), and whether it is a group.
    entries: Vec<(Option<usize>, bool)>,
    links: Vec<(usize, usize, Word)>,
    lacking: Vec<bool>,
    failing: Vec<bool>,
}

fn shape() -> impl Strategy<Value = Shape> {
    let word = prop_oneof![
        Just(Word::Require),
        Just(Word::Weak),
        Just(Word::Check),
        Just(Word::Filter)
    ];
    (1usize..25)
        .prop_flat_map(move |count| {
            (
                proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..4), count),
                proptest::collection::vec((0..count, 0..count, word.clone()), 0..count * 2),
                proptest::collection::vec(proptest::bool::weighted(0.15), count),
                proptest::collection::vec(proptest::bool::weighted(0.2), count),
            )
        })
        .prop_map(|(kinds, links, lacking, failing)| {
            let mut entries: Vec<(Option<usize>, bool)> = Vec::new();
            for (index, kind) in kinds {
                let groups: Vec<usize> = (0..entries.len()).filter(|at| entries[*at].1).collect();
                let parent = (!groups.is_empty() && kind % 2 == 0)
                    .then(|| groups[index.index(groups.len())]);
                entries.push((parent, kind >= 2));
            }
            Shape {
                entries,
                links,
                lacking,
                failing,
            }
        })
}

impl Shape {
    /// Builds the graph; links that would close a circle, or double one, are left out.
    fn build(&self, reversed: bool) -> Builder {
        let mut builder = Builder::default();
        builder.nodes(self.entries.len() as u32);
        for (at, (parent, is_group)) in self.entries.iter().enumerate() {
            let parent = parent.map(|at| ServiceId(at as u32));
            let name = format!("e{at}");
            if *is_group {
                builder.group(parent, &name);
            } else if self.lacking[at] {
                builder.service(parent, &name, &[]);
            } else {
                let mut nodes = vec![at as u32, (at as u32 + 1) % self.entries.len() as u32];
                nodes.dedup();
                builder.service(parent, &name, &[("go", on(&nodes))]);
            }
        }
        let mut seen = HashSet::new();
        for (from, to, word) in &self.links {
            let (one, other) = (ServiceId(*from as u32), ServiceId(*to as u32));
            if !seen.insert((from, to)) {
                continue;
            }
            let mut trial = builder.clone();
            trial.link(one, *word, other);
            if trial.graph().check().is_ok() {
                builder = trial;
            }
        }
        if reversed {
            let links: Vec<_> = builder
                .services
                .iter_mut()
                .enumerate()
                .flat_map(|(at, service)| {
                    std::mem::take(&mut service.links)
                        .into_iter()
                        .map(move |link| (link.to, link.word, ServiceId(at as u32)))
                })
                .collect();
            for (from, word, to) in links {
                builder.link(from, word, to);
            }
        }
        builder
    }

    fn fails(&self, action: &str) -> Option<Vec<u32>> {
        let name = action.strip_suffix(".go")?;
        let at: usize = name.rsplit('e').next()?.parse().ok()?;
        self.failing[at].then(|| vec![at as u32])
    }
}

/// The services that must have ended before one may run: a slow, plain reading of the rules.
fn must_wait(graph: &Graph, direction: Direction, id: ServiceId) -> HashSet<ServiceId> {
    let mut before = HashSet::new();
    let mut todo: Vec<ServiceId> = Vec::new();
    let mut level = Some(id);
    while let Some(at) = level {
        todo.extend(graph.dependencies(at, direction).iter().map(|link| link.to));
        level = graph.service(at).parent;
    }
    while let Some(at) = todo.pop() {
        if before.insert(at) {
            todo.extend(graph.members(at));
        }
    }
    before
}

proptest! {
    #[test]
    fn every_service_settles_once_and_none_runs_before_what_it_waits_for(
        shape in shape(), reverse in any::<bool>(), order in proptest::collection::vec(0usize..100, 40),
    ) {
        let graph = shape.build(false).graph();
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        let mut walk = Walk::new(&graph, &Request::all("go", direction)).unwrap();
        let participants: HashSet<_> = walk.participants().collect();
        let mut settled = HashSet::new();
        let mut running: Vec<ActionId> = Vec::new();
        let mut order = order.into_iter().cycle();
        while !walk.is_over() {
            for step in walk.ready() {
                match step {
                    Step::Run { action, .. } => {
                        let service = graph.action(action).service;
                        for before in must_wait(&graph, direction, service) {
                            prop_assert!(!participants.contains(&before) || settled.contains(&before));
                        }
                        running.push(action);
                    }
                    Step::Settled { service, .. } => prop_assert!(settled.insert(service)),
                    Step::Spared { .. } => prop_assert!(false, "there are no checks"),
                }
            }
            if !running.is_empty() {
                let at = order.next().unwrap_or(0) % running.len();
                walk.settle(running.swap_remove(at), &Ran::default());
            }
        }
        prop_assert_eq!(settled, participants);
    }

    #[test]
    fn the_result_does_not_depend_on_the_order_of_answers(
        shape in shape(), one in proptest::collection::vec(0usize..100, 40),
        other in proptest::collection::vec(0usize..100, 40),
    ) {
        let graph = shape.build(false).graph();
        let result = |order: Vec<usize>| {
            let mut order = order.into_iter().cycle();
            let mut walk = Walk::new(&graph, &forward("go")).unwrap();
            let mut told = drive(&mut walk, &graph, |name| shape.fails(name), |_| order.next().unwrap_or(0));
            told.ran.sort_by(|a, b| a.0.cmp(&b.0));
            told.lines.sort();
            (told, walk.verdict())
        };
        prop_assert_eq!(result(one), result(other));
    }

    #[test]
    fn a_reversed_walk_is_the_mirror(shape in shape()) {
        // `check` means `status` in forward direction only, so the mirror of it is `require`.
        let mut mirror = shape.build(true);
        for service in &mut mirror.services {
            for link in &mut service.links {
                if link.word == Word::Check {
                    link.word = Word::Require;
                }
            }
        }
        let (graph, mirror) = (shape.build(false).graph(), mirror.graph());
        let result = |graph: &Graph, direction| {
            let mut walk = Walk::new(graph, &Request::all("go", direction)).unwrap();
            let mut told = drive(&mut walk, graph, |name| shape.fails(name), |_| 0);
            told.ran.sort_by(|a, b| a.0.cmp(&b.0));
            told.lines.sort();
            (told, walk.verdict())
        };
        prop_assert_eq!(result(&graph, Direction::Reverse), result(&mirror, Direction::Forward));
    }
}
