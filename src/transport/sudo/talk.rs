//! One command by `sudo`, from its first word to its end.
//!
//! `sudo` gets a prompt that only we know and says it on standard error when it wants a password; only then one is asked
//! for, and goes over standard input. The command says another such word before it begins: until then nothing of its input
//! is sent, and from then on nothing is looked at any more. A node is never sent a second password.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::Sudo;
use super::password::{TURN, Turn};
use crate::event::{ErrorCode, Event, Failure, Meter, Outcome, Stop, Stream};
use crate::plan::NodeName;
use crate::transport::relay::quote;
use crate::transport::ssh::errors::printable;
use crate::transport::{BoxFuture, Command, Input, NodeIo, Source, until};

/// How long `sudo` may take to end when it gets no password.
const GRACE: Duration = Duration::from_secs(3);

/// More of what `sudo` says is not held back.
const CHATTER: usize = 16 * 1024;

/// So much of what `sudo` says comes with a failure.
const WORDS: usize = 300;

impl Sudo {
    /// What `sudo` asks with.
    fn prompt(&self) -> String {
        format!("hash-password-{}:", self.nonce)
    }

    /// What is said when the command begins.
    fn begun(&self) -> String {
        format!("hash-begun-{}\n", self.nonce)
    }

    /// The line that runs another one. No `%` is in it, which may mean something on the way.
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
}

/// The talk with one node's `sudo`.
pub(super) struct Talk {
    sudo: Arc<Sudo>,
    node: NodeName,
    limit: Option<Duration>,
    inbox: mpsc::Receiver<Event>,
    /// What it said on standard error and is not shown yet.
    held: BytesMut,
    /// What it said before it asked for a password, such as the lecture.
    before: BytesMut,
    gate: watch::Sender<Fed>,
    state: State,
    failure: Option<Failure>,
}

/// How far the talk is.
enum State {
    /// `sudo` is to ask or to begin, until then.
    Started(Option<Instant>),
    /// It has the password.
    Answered {
        /// This node tries it before the others, until then.
        turn: Option<(Turn, Instant)>,
        until: Option<Instant>,
    },
    /// The command has begun, or never will.
    Over,
}

impl Talk {
    /// The command as `sudo` is to run it, and what hears it. `limit` is how long `sudo` may take to answer.
    pub(super) fn new(
        (sudo, node): (&Arc<Sudo>, &NodeName),
        command: &Command,
        limit: Option<Duration>,
        inbox: mpsc::Receiver<Event>,
    ) -> (Command, Self) {
        let (gate, opened) = watch::channel(Fed::default());
        let (then, sent) = command.stdin.as_ref().map_or_else(
            || (None, Meter::default()),
            |stdin| {
                let (source, sent) = stdin.parts();
                (Some(source), sent)
            },
        );
        let command = Command {
            line: sudo.line(&command.line),
            stdin: Some(Input::new(Arc::new(Feed { opened, then }), sent)),
            pty: command.pty,
        };
        let talk = Self {
            sudo: Arc::clone(sudo),
            node: node.clone(),
            limit,
            inbox,
            held: BytesMut::new(),
            before: BytesMut::new(),
            gate,
            state: State::Over,
            failure: None,
        };
        (command, talk)
    }

    /// Talks while the command runs, and hands its own output over. The limits of the work count from its beginning.
    pub(super) async fn attend(
        mut self,
        running: impl Future<Output = Outcome>,
        io: &NodeIo,
    ) -> Outcome {
        io.hold();
        self.state = State::Started(self.deadline());
        let refused = self.gate.subscribe();
        let ended = tokio::select! {
            biased;
            (outcome, ()) = async { tokio::join!(running, self.listen(io)) } => Some(outcome),
            () = given_up(refused) => None,
        };
        io.count();
        self.end(ended, io).await
    }

    fn deadline(&self) -> Option<Instant> {
        self.limit.map(|limit| Instant::now() + limit)
    }

    async fn listen(&mut self, io: &NodeIo) {
        loop {
            let (turn, limit) = match &self.state {
                State::Started(until) => (None, *until),
                State::Answered { turn, until } => (turn.as_ref().map(|(_, at)| *at), *until),
                State::Over => (None, None),
            };
            tokio::select! {
                // Time is looked at first: a node that never pauses must not hold it up.
                biased;
                () = until(turn) => {
                    if let Some(turn) = self.turn() {
                        turn.pass_on();
                    }
                }
                () = until(limit) => self.overdue(),
                event = self.inbox.recv() => match event {
                    Some(Event::Output { stream, data, .. }) => self.hear(stream, data, io).await,
                    Some(_) => {}
                    None => return,
                },
            }
        }
    }

    async fn hear(&mut self, stream: Stream, data: Bytes, io: &NodeIo) {
        let has_begun = self.gate.borrow().begun;
        if has_begun || stream == Stream::Out {
            return io.output(stream, data).await;
        }
        self.held.extend_from_slice(&data);
        if cut(&mut self.held, self.sudo.begun().as_bytes()) {
            if let Some(turn) = self.turn() {
                turn.right();
            }
            let how = match self.state {
                State::Answered { .. } => "with the password",
                State::Started(_) | State::Over => "which asked for no password",
            };
            let user = &self.sudo.user;
            self.sudo
                .trace
                .brief(&self.node, || format!("{user} by sudo, {how}"));
            self.state = State::Over;
            self.gate.send_modify(|fed| fed.begun = true);
            io.count();
            return self.show(io).await;
        }
        if cut(&mut self.held, self.sudo.prompt().as_bytes()) {
            self.prompted(io).await;
        }
        if self.held.len() > CHATTER {
            self.show(io).await;
        }
    }

    /// The turn to try the password, if this node has it; it is over then.
    fn turn(&mut self) -> Option<Turn> {
        match &mut self.state {
            State::Answered { turn, .. } => turn.take().map(|(turn, _)| turn),
            State::Started(_) | State::Over => None,
        }
    }

    /// It wants a password: the first time it gets one, then never again.
    async fn prompted(&mut self, io: &NodeIo) {
        match self.state {
            State::Started(_) => {}
            State::Answered { .. } => {
                if let Some(turn) = self.turn() {
                    turn.wrong();
                }
                let said = self.words();
                let colon = if said.is_empty() { "" } else { ": " };
                let text = format!(
                    "sudo to {} does not take the password{colon}{said}",
                    self.sudo.user
                );
                return self.refuse(Failure::new(ErrorCode::Auth, text));
            }
            State::Over => return,
        }
        self.before.unsplit(self.held.split());
        let mut stop = io.stop.clone();
        let answer = tokio::select! {
            biased;
            Ok(_) = stop.wait_for(|level| *level >= Stop::Terminate) => {
                Err(Failure::new(ErrorCode::Stopped, "stopped while sudo waited for a password; nothing was run"))
            }
            answer = self.sudo.password.answer(&self.node, &self.sudo.user) => answer,
        };
        match answer {
            Ok((password, turn)) => {
                let line = format!("{password}\n");
                self.gate.send_modify(|fed| fed.password = line.into());
                self.state = State::Answered {
                    turn: turn.map(|turn| (turn, Instant::now() + TURN)),
                    until: self.deadline(),
                };
            }
            Err(failure) => self.refuse(failure),
        }
    }

    /// It took longer to answer than it may.
    fn overdue(&mut self) {
        let after = match self.state {
            State::Answered { .. } => " to the password",
            State::Started(_) | State::Over => "",
        };
        let limit = self.limit.unwrap_or_default().as_secs_f64();
        let said = self.words();
        let said = match said.as_str() {
            "" => String::new(),
            said => format!("; it said: {said}"),
        };
        let text = format!("no answer of sudo{after} within {limit}s{said}; nothing was run");
        self.refuse(Failure::new(ErrorCode::HandshakeTimeout, text));
    }

    fn refuse(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.state = State::Over;
        self.gate.send_modify(|fed| fed.over = true);
    }

    /// What it said last, behind its question for a password if it had one.
    fn words(&self) -> String {
        let said = String::from_utf8_lossy(&self.held);
        let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<&str> = lines.collect();
        printable(lines.join("; ").as_bytes(), WORDS)
    }

    async fn show(&mut self, io: &NodeIo) {
        self.before.unsplit(self.held.split());
        if !self.before.is_empty() {
            io.output(Stream::Err, self.before.split().freeze()).await;
        }
    }

    /// What became of the node. A command that never began is a failure, whatever status `sudo` ended with.
    async fn end(mut self, ended: Option<Outcome>, io: &NodeIo) -> Outcome {
        let has_begun = self.gate.borrow().begun;
        match (self.failure.take(), ended) {
            (Some(failure), _) => Outcome::Failed(failure),
            (None, Some(Outcome::Exited { status })) if !has_begun => {
                let said = self.words();
                let code = match &self.state {
                    State::Answered { .. } => ErrorCode::Auth,
                    State::Started(_) | State::Over => ErrorCode::ExecRefused,
                };
                if let Some(turn) = self.turn() {
                    judge(turn, &said);
                }
                let why = match said.as_str() {
                    "" => format!("it ended with {status} and did not say why"),
                    said => said.to_owned(),
                };
                Outcome::failed(code, format!("sudo did not run the command: {why}"))
            }
            (None, Some(outcome)) => {
                self.show(io).await;
                outcome
            }
            (None, None) => Outcome::failed(ErrorCode::Lost, "sudo did not end"),
        }
    }
}

/// What the end of `sudo` says of the password it had. Its words may be in any language, so the known ones only keep it
/// from being thought wrong, or make it so at once.
fn judge(turn: Turn, said: &str) {
    const WRONG: [&str; 2] = ["incorrect password", "incorrect authentication"];
    const OTHER: [&str; 7] = [
        "is not in the sudoers file",
        "is not allowed to",
        "may not run sudo",
        "unknown user",
        "you must have a tty",
        "command not found",
        "account validation failure",
    ];
    if WRONG.iter().any(|words| said.contains(words)) {
        turn.wrong();
    } else if !OTHER.iter().any(|words| said.contains(words)) {
        turn.doubtful();
    }
}

/// Ends when `sudo` got no password and has not ended a while later.
async fn given_up(mut refused: watch::Receiver<Fed>) {
    if refused.wait_for(|fed| fed.over).await.is_err() {
        std::future::pending::<()>().await;
    }
    sleep(GRACE).await;
}

/// What may be read of a node's input so far.
#[derive(Clone, Default)]
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
    // A password is shown nowhere.
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

/// Takes a word out of what was said, if it is there.
fn cut(said: &mut BytesMut, word: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(said, word) else {
        return false;
    };
    let rest = said.split_off(at);
    said.extend_from_slice(&rest[word.len()..]);
    true
}
