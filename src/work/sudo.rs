//! Runs the command of another work as another user, with `sudo` on the node.
//!
//! `sudo` gets a prompt that nobody else knows and says it on standard error when it wants a password; only then one is
//! asked for, once for all nodes, and goes over standard input. The command says another such word before it begins:
//! until then nothing of its input is sent, and from then on nothing is looked at any more.
//!
//! One wrong password must not lock an account that all nodes share: until the first node has taken it, the others wait,
//! and if that one refuses it, no other gets to see it. A node is never sent a second one.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{Mutex, MutexGuard, OnceCell, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::Work;
use super::script::quote;
use crate::event::{ErrorCode, Event, Failure, Meter, NodeId, Outcome, Stop, Stream};
use crate::prompt::{Echo, Prompter};
use crate::transport::{BoxFuture, Command, Input, NodeIo, Session, Source};

/// How long `sudo` may take to end when it gets no password.
const GRACE: Duration = Duration::from_secs(3);

/// How long the others wait for a word of the node that has the password first; it may hang.
const FIRST: Duration = Duration::from_secs(15);

/// More of what `sudo` says is not held back.
const CHATTER: usize = 16 * 1024;

/// Runs another work's commands as another user.
pub struct Sudo {
    inner: Box<dyn Work>,
    user: String,
    /// What only we know: nobody on the node can make up the words that have it.
    nonce: String,
    password: Password,
}

impl fmt::Debug for Sudo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sudo")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Sudo {
    /// The commands of `inner` as `user`. `nonce` is a word that nobody can guess; `prompter` is who knows the password.
    #[must_use]
    pub fn new(
        inner: Box<dyn Work>,
        user: String,
        nonce: String,
        prompter: Arc<dyn Prompter>,
    ) -> Self {
        Self {
            inner,
            user,
            nonce,
            password: Password {
                prompter,
                known: OnceCell::new(),
                verdict: Mutex::new(Verdict::Open),
            },
        }
    }

    /// What `sudo` asks with.
    fn prompt(&self) -> String {
        format!("hash-password-{}:", self.nonce)
    }

    /// What is said when the command begins.
    fn begun(&self) -> String {
        format!("hash-begun-{}\n", self.nonce)
    }

    /// The line that runs another one. No `%` is in it, which means something to who may read it on the way.
    fn line(&self, line: &str) -> String {
        let begun = self.begun();
        let script = format!(r#"echo {} >&2; exec /bin/sh -c "$1""#, begun.trim_end());
        let words = ["/bin/sh", "-c", &script, "sh", line];
        let words: Vec<String> = words.into_iter().map(quote).collect();
        format!(
            "exec sudo -S -p {} -u {} -- {}",
            self.prompt(),
            quote(&self.user),
            words.join(" ")
        )
    }

    async fn run(&self, command: &Command, session: &mut dyn Session, io: &mut NodeIo) -> Outcome {
        let (gate, opened) = watch::channel(Fed::default());
        let refused = opened.clone();
        let (then, sent) = command.stdin.as_ref().map_or_else(
            || (None, Meter::default()),
            |stdin| {
                let (source, sent) = stdin.parts();
                (Some(source), sent)
            },
        );
        let wrapped = Command {
            line: self.line(&command.line),
            stdin: Some(Input::new(Arc::new(Feed { opened, then }), sent)),
            pty: command.pty,
        };
        let (events, mut inbox) = mpsc::channel(8);
        let mut own = NodeIo::new(io.node(), events, io.stop.clone());
        let running = async {
            let outcome = session.exec(&wrapped, &mut own).await;
            // Closes its line to the talk, which then ends too.
            drop(own);
            outcome
        };
        let mut talk = Talk {
            sudo: self,
            held: BytesMut::new(),
            gate,
            first: None,
            sent: false,
            begun: false,
            failure: None,
        };
        let talking = async {
            loop {
                match timeout(FIRST, inbox.recv()).await {
                    Ok(Some(Event::Output { stream, data, .. })) => {
                        talk.hear(stream, data, io).await
                    }
                    Ok(Some(
                        Event::Answer { .. } | Event::Started { .. } | Event::Finished { .. },
                    )) => {}
                    Ok(None) => break,
                    // Whoever keeps silent about the password must not keep it from the others.
                    Err(_) => talk.first = None,
                }
            }
        };
        let ended = tokio::select! {
            biased;
            (outcome, ()) = async { tokio::join!(running, talking) } => Some(outcome),
            () = given_up(refused) => None,
        };
        talk.end(ended, io).await
    }
}

impl Work for Sudo {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let Some(command) = self.inner.command(node) else {
                return Outcome::failed(ErrorCode::ExecRefused, "only commands can be run by sudo");
            };
            self.run(&command, session, io).await
        })
    }

    // Who reaches the node by itself has no way to answer `sudo`, so `command` stays `None`.
}

/// Ends when `sudo` got no password and has not ended a while later.
async fn given_up(mut refused: watch::Receiver<Fed>) {
    if refused.wait_for(|fed| fed.over).await.is_err() {
        std::future::pending::<()>().await;
    }
    sleep(GRACE).await;
}

/// What is known of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// No node has said anything about it.
    Open,
    /// A node took it.
    Right,
    /// The first node to see it did not take it.
    Wrong,
}

/// The password of all nodes.
struct Password {
    prompter: Arc<dyn Prompter>,
    known: OnceCell<Option<Arc<str>>>,
    verdict: Mutex<Verdict>,
}

impl Password {
    /// The password, and the guard for the first node to get it; or why it is not sent.
    async fn answer(
        &self,
        user: &str,
    ) -> Result<(Arc<str>, Option<MutexGuard<'_, Verdict>>), Failure> {
        let refuse = |text: &str| Err(Failure::new(ErrorCode::Auth, text));
        let prompt = format!("password for sudo to {user} on all nodes: ");
        let ask = || async {
            let typed = self.prompter.ask(&prompt, Echo::Hidden).await;
            typed.map(Arc::from)
        };
        let Some(password) = self.known.get_or_init(ask).await.clone() else {
            return refuse("sudo wants a password, and nobody gave one at a terminal");
        };
        let verdict = self.verdict.lock().await;
        match *verdict {
            Verdict::Open => Ok((password, Some(verdict))),
            Verdict::Right => Ok((password, None)),
            Verdict::Wrong => {
                refuse("sudo wants a password, which was not sent here: another node refused it")
            }
        }
    }
}

/// What may be read of a node's input so far.
#[derive(Debug, Clone, Default)]
struct Fed {
    /// The password with its newline, once `sudo` has asked.
    password: Bytes,
    /// The command reads: what follows is its own.
    begun: bool,
    /// Nothing follows.
    over: bool,
}

/// The input of `sudo` and then of its command.
struct Feed {
    opened: watch::Receiver<Fed>,
    then: Option<Arc<dyn Source>>,
}

impl fmt::Debug for Feed {
    // A password is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}

impl Source for Feed {
    fn read(&self, at: u64) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(async move {
            let mut opened = self.opened.clone();
            let fed = opened
                .wait_for(|fed| fed.over || fed.begun || fed.password.len() as u64 > at)
                .await
                .map_err(io::Error::other)?
                .clone();
            let head = fed.password.len() as u64;
            match (usize::try_from(at), &self.then) {
                (Ok(start), _) if at < head => Ok(fed.password.slice(start..)),
                (_, Some(then)) if fed.begun => then.read(at - head).await,
                _ => Ok(Bytes::new()),
            }
        })
    }
}

/// The talk with one node's `sudo`.
struct Talk<'a> {
    sudo: &'a Sudo,
    /// What it said on standard error and is not shown yet.
    held: BytesMut,
    gate: watch::Sender<Fed>,
    /// This node is the first that got the password, and has not said what it thinks of it.
    first: Option<MutexGuard<'a, Verdict>>,
    sent: bool,
    begun: bool,
    failure: Option<Failure>,
}

impl Talk<'_> {
    async fn hear(&mut self, stream: Stream, data: Bytes, io: &NodeIo) {
        if self.begun || stream == Stream::Out {
            return io.output(stream, data).await;
        }
        self.held.extend_from_slice(&data);
        if cut(&mut self.held, self.sudo.begun().as_bytes()) {
            self.begun = true;
            self.judge(Verdict::Right);
            self.gate.send_modify(|fed| fed.begun = true);
            return self.show(io).await;
        }
        if cut(&mut self.held, self.sudo.prompt().as_bytes()) {
            self.prompted(io).await;
        }
        if self.held.len() > CHATTER {
            self.show(io).await;
        }
    }

    /// It wants a password: the first time it gets one, then never again.
    async fn prompted(&mut self, io: &NodeIo) {
        if self.failure.is_some() {
            return;
        }
        if self.sent {
            self.judge(Verdict::Wrong);
            let text = format!("sudo to {} does not take the password", self.sudo.user);
            return self.refuse(Failure::new(ErrorCode::Auth, text));
        }
        let mut stop = io.stop.clone();
        let answer = tokio::select! {
            biased;
            Ok(_) = stop.wait_for(|level| *level >= Stop::Terminate) => {
                Err(Failure::new(ErrorCode::Stopped, "stopped while sudo waited for a password; nothing was run"))
            }
            answer = self.sudo.password.answer(&self.sudo.user) => answer,
        };
        match answer {
            Ok((password, first)) => {
                self.first = first;
                self.sent = true;
                let line = format!("{password}\n");
                self.gate.send_modify(|fed| fed.password = line.into());
            }
            Err(failure) => self.refuse(failure),
        }
    }

    /// Tells the others, if this is the node they wait for.
    fn judge(&mut self, verdict: Verdict) {
        if let Some(mut first) = self.first.take() {
            *first = verdict;
        }
    }

    fn refuse(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.gate.send_modify(|fed| fed.over = true);
    }

    async fn show(&mut self, io: &NodeIo) {
        if !self.held.is_empty() {
            io.output(Stream::Err, self.held.split().freeze()).await;
        }
    }

    /// What became of the node. A command that never began is a failure, whatever status `sudo` ended with.
    async fn end(mut self, ended: Option<Outcome>, io: &NodeIo) -> Outcome {
        match (self.failure.take(), ended) {
            (Some(failure), _) => Outcome::Failed(failure),
            (None, Some(Outcome::Exited { .. })) if !self.begun => {
                let code = if self.sent {
                    self.judge(Verdict::Wrong);
                    ErrorCode::Auth
                } else {
                    ErrorCode::ExecRefused
                };
                let said = String::from_utf8_lossy(&self.held);
                let last = said
                    .trim_end()
                    .lines()
                    .last()
                    .unwrap_or("it did not say why");
                Outcome::failed(code, format!("sudo did not run the command: {last}"))
            }
            (None, Some(outcome)) => {
                self.show(io).await;
                outcome
            }
            (None, None) => Outcome::failed(ErrorCode::Lost, "sudo did not end"),
        }
    }
}

/// Takes a word out of what was said, if it is there.
fn cut(said: &mut BytesMut, word: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(said, word) else {
        return false;
    };
    let rest = said.split_off(at);
    said.extend_from_slice(&rest[word.len()..]);
    true
}
