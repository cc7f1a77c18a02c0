//! Talks with scripted nodes on a paused clock: who gets the password, when, and what the others get to hear.

use std::sync::Mutex;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::*;
use crate::event::{Event, NodeId, Stop, Stream};
use crate::prompt::{Answer, Echo};
use crate::transport::Input;

const NONCE: &str = "0123";
const PROMPT: &[u8] = b"hash-password-0123:";
const SECOND: Duration = Duration::from_secs(1);

/// Types the password, and counts how often it is asked for one.
#[derive(Debug, Default)]
struct Typist(Mutex<usize>);

impl Prompter for Typist {
    fn ask<'a>(&'a self, prompt: &'a str, echo: Echo) -> Answer<'a> {
        let (node, question) = prompt.split_once(": ").unwrap();
        assert!(node.parse::<usize>().is_ok(), "{prompt}");
        assert_eq!(question, "password for sudo to root on all nodes: ");
        assert_eq!(echo, Echo::Hidden);
        *self.0.lock().unwrap() += 1;
        Box::pin(std::future::ready(Some("sesame".to_owned())))
    }

    fn warn(&self, _: &str) {}
}

/// What a node's sudo does.
#[derive(Debug, Clone, Copy)]
enum Node {
    /// Asks for nothing and begins.
    Open,
    /// Asks, takes the password, and begins.
    Takes,
    /// Asks, and asks again.
    Refuses,
    /// Asks, and ends with these words.
    Ends(&'static str),
    /// Asks, and then says a byte now and then.
    Drips,
    /// Never says anything.
    Silent,
    /// Asks, takes the password, begins, and says nothing more.
    Mute,
}

/// A fleet of them by name, with what happened.
#[derive(Debug, Default)]
struct Fleet {
    nodes: Vec<Node>,
    /// Which node got the password, and how long after the start.
    log: Arc<Mutex<Vec<(usize, Duration)>>>,
}

impl Transport for Fleet {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        _: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        let at: usize = node.parse().unwrap();
        let session = Scripted {
            at,
            node: self.nodes[at],
            log: Arc::clone(&self.log),
            start: Instant::now(),
        };
        Box::pin(async { Ok(Box::new(session) as Box<dyn Session>) })
    }
}

#[derive(Debug, Clone)]
struct Scripted {
    at: usize,
    node: Node,
    log: Arc<Mutex<Vec<(usize, Duration)>>>,
    start: Instant,
}

impl Scripted {
    async fn sudo(self, command: Command, io: NodeIo) -> Outcome {
        assert!(command.line.contains("-u 'root'"), "{}", command.line);
        assert!(!command.line.contains("sesame"));
        let say = async |text: &[u8]| io.output(Stream::Err, text.to_vec().into()).await;
        let mut input = command.stdin.as_ref().map(Input::reader).unwrap();
        if matches!(self.node, Node::Silent) {
            std::future::pending::<()>().await;
        }
        if !matches!(self.node, Node::Open) {
            say(b"lecture\n").await;
            say(&PROMPT[..5]).await;
            say(&PROMPT[5..]).await;
            let data = input.next().await.unwrap();
            if data.is_empty() {
                say(b"sudo: no password was provided\n").await;
                return Outcome::Exited { status: 1 };
            }
            assert_eq!(data, "sesame\n");
            let since = self.start.elapsed();
            self.log.lock().unwrap().push((self.at, since));
        }
        match self.node {
            Node::Open | Node::Takes | Node::Mute => {}
            Node::Refuses => {
                say(b"Sorry, try again.\n").await;
                say(PROMPT).await;
                let more = input.next().await.unwrap();
                assert!(more.is_empty(), "a second password was sent");
                return Outcome::Exited { status: 1 };
            }
            Node::Ends(words) => {
                say(words.as_bytes()).await;
                return Outcome::Exited { status: 1 };
            }
            Node::Drips | Node::Silent => loop {
                tokio::time::sleep(5 * SECOND).await;
                say(b".").await;
            },
        }
        say(b"hash-begun-0123\n").await;
        if matches!(self.node, Node::Mute) {
            std::future::pending::<()>().await;
        }
        loop {
            let data = input.next().await.unwrap();
            if data.is_empty() {
                return Outcome::OK;
            }
            io.output(Stream::Out, data).await;
        }
    }
}

impl Session for Scripted {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        Box::pin(self.clone().sudo(command.clone(), io.clone()))
    }

    fn begin(&mut self, command: Command, io: NodeIo) -> BoxFuture<'static, Outcome> {
        Box::pin(self.clone().sudo(command, io))
    }

    fn open<'a>(&'a mut self, _: &'a Endpoint) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        unreachable!("a socket is opened by sudo")
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

struct Ran {
    outcomes: Vec<Outcome>,
    out: Vec<Vec<u8>>,
    /// Which node got the password, and after how many seconds.
    log: Vec<(usize, u64)>,
    asked: usize,
}

impl Ran {
    fn message(&self, at: usize) -> &str {
        let outcome = &self.outcomes[at];
        let Outcome::Failed(failure) = outcome else {
            panic!("node {at}: {outcome:?}");
        };
        &failure.message
    }
}

/// Runs `cat` with an input on all of them at one time.
async fn run(nodes: &[Node]) -> Ran {
    let fleet = Fleet {
        nodes: nodes.to_vec(),
        ..Fleet::default()
    };
    let log = Arc::clone(&fleet.log);
    let typist = Arc::new(Typist::default());
    let prompter = Arc::clone(&typist) as Arc<dyn Prompter>;
    let root = AsUser::new(
        Box::new(fleet),
        Arc::new(Sudo::new(
            "root".into(),
            Via::Auto,
            NONCE.into(),
            (prompter, Trace::default()),
        )),
    );
    let limits = Limits {
        authenticate: Some(30 * SECOND),
        ..Limits::default()
    };
    let (_stop, stopping) = watch::channel(Stop::No);
    let one = async |at: usize| {
        let name = NodeName::from(at.to_string());
        let mut session = root.connect(&name, &limits).await.unwrap();
        let (events, mut inbox) = mpsc::channel(8);
        let mut io = NodeIo::new(NodeId(0), events, stopping.clone());
        let command = Command {
            line: "cat".into(),
            stdin: Some(b"in\0\xff".to_vec().into()),
            pty: false,
        };
        let running = async {
            let outcome = session.exec(&command, &mut io).await;
            drop(io);
            outcome
        };
        let hearing = async {
            let mut out = Vec::new();
            while let Some(event) = inbox.recv().await {
                if let Event::Output {
                    stream: Stream::Out,
                    data,
                    ..
                } = event
                {
                    out.extend_from_slice(&data);
                }
            }
            out
        };
        tokio::join!(running, hearing)
    };
    let all = (0..nodes.len()).map(one);
    let (outcomes, out) = futures_util::future::join_all(all)
        .await
        .into_iter()
        .unzip();
    let log = log
        .lock()
        .unwrap()
        .iter()
        .map(|(at, when)| (*at, when.as_secs()))
        .collect();
    let asked = *typist.0.lock().unwrap();
    Ran {
        outcomes,
        out,
        log,
        asked,
    }
}

#[tokio::test(start_paused = true)]
async fn the_password_goes_to_one_and_then_to_all_others() {
    let ran = run(&[Node::Takes, Node::Open, Node::Takes, Node::Takes]).await;
    assert_eq!(
        ran.outcomes,
        [Outcome::OK, Outcome::OK, Outcome::OK, Outcome::OK]
    );
    assert_eq!(ran.out, vec![b"in\0\xff".to_vec(); 4]);
    assert_eq!(ran.log, [(0, 0), (2, 0), (3, 0)]);
    assert_eq!(ran.asked, 1);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_seen_by_one_node() {
    let ran = run(&[Node::Refuses, Node::Takes, Node::Takes]).await;
    assert_eq!(ran.log, [(0, 0)]);
    let told = "sudo to root does not take the password: Sorry, try again.";
    assert_eq!(ran.message(0), told);
    for other in [1, 2] {
        assert!(ran.message(other).ends_with("another node refused it"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_drips_keeps_the_password_from_the_others_for_a_turn_only() {
    let ran = run(&[Node::Drips, Node::Takes, Node::Silent]).await;
    assert_eq!(ran.log, [(0, 0), (1, 15)]);
    assert_eq!(ran.outcomes[1], Outcome::OK);
    assert_eq!(
        ran.message(0),
        "no answer of sudo to the password within 30s; it said: .....; nothing was run"
    );
    assert_eq!(
        ran.message(2),
        "no answer of sudo within 30s; nothing was run"
    );
}

#[tokio::test(start_paused = true)]
async fn many_that_hang_with_it_do_not_hang_one_after_another() {
    let mut nodes = vec![Node::Drips; 20];
    nodes.push(Node::Takes);
    let ran = run(&nodes).await;
    // One, then two more, then four, then eight: the twenty-first is among the next sixteen.
    assert_eq!(ran.log.last(), Some(&(20, 60)));
    assert_eq!(ran.outcomes[20], Outcome::OK);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_one_user_of_one_node_out_is_no_verdict_on_the_password() {
    let words =
        "joe is not in the sudoers file.\nThis incident has been reported to the administrator.\n";
    let ran = run(&[
        Node::Ends(words),
        Node::Ends(words),
        Node::Ends(words),
        Node::Takes,
    ])
    .await;
    assert_eq!(ran.outcomes[3], Outcome::OK);
    assert_eq!(
        ran.message(0),
        "sudo did not run the command: joe is not in the sudoers file.; \
         This incident has been reported to the administrator."
    );
    // Words that are not known may mean that it is wrong.
    let words = "sudo: 1 falsche Passworteingabe\n";
    let ran = run(&[
        Node::Ends(words),
        Node::Ends(words),
        Node::Ends(words),
        Node::Takes,
    ])
    .await;
    assert_eq!(ran.log.len(), 2);
    assert!(ran.message(3).ends_with("another node refused it"));
    let words = "sudo: 1 incorrect password attempt\n";
    let ran = run(&[Node::Ends(words), Node::Takes]).await;
    assert_eq!(ran.log.len(), 1);
    assert!(
        ran.message(0)
            .ends_with(": sudo: 1 incorrect password attempt")
    );
}

/// Which nodes got the password, and when.
type Asked = Arc<Mutex<Vec<(usize, Duration)>>>;

/// A login that becomes root on a single node, and which nodes got the password.
fn one(node: Node) -> (AsUser, Asked) {
    let fleet = Fleet {
        nodes: vec![node],
        ..Fleet::default()
    };
    let log = Arc::clone(&fleet.log);
    let prompter = Arc::new(Typist::default());
    let root = AsUser::new(
        Box::new(fleet),
        Arc::new(Sudo::new(
            "root".into(),
            Via::Auto,
            NONCE.into(),
            (prompter, Trace::default()),
        )),
    );
    (root, log)
}

#[tokio::test(start_paused = true)]
async fn a_node_that_begins_and_does_not_do_what_it_is_told_is_not_waited_for() {
    let (root, _) = one(Node::Mute);
    let limits = Limits {
        authenticate: Some(30 * SECOND),
        ..Limits::default()
    };
    let mut session = root.connect(&"0".into(), &limits).await.unwrap();
    let begun = Instant::now();
    let failure = session.ready().await.unwrap_err();
    assert_eq!(failure.message, "sudo said nothing within 30s");
    assert_eq!(begun.elapsed(), 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_is_ready_is_asked_once() {
    let (root, log) = one(Node::Takes);
    let mut session = root.connect(&"0".into(), &Limits::default()).await.unwrap();
    // The scripted node repeats its input and runs nothing.
    let failure = session.ready().await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::ExecRefused);
    assert_eq!(log.lock().unwrap().len(), 1);
}
