//! The program on a gateway, from connecting to its greeting and on to its last word.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::outbox::{Outbox, Outgoing};
use super::program::{self, MISSING, VERSION};
use super::{Gateways, SILENCE};
use crate::event::{Event, Meter, NodeId, Outcome, Stop, Stream};
use crate::gateway::{self, Hello, LONGEST_TELL, Lines};
use crate::plan::{Limits, NodeName};
use crate::transport::child::keep_tail;
use crate::transport::input::Input;
use crate::transport::ssh::errors::printable;
use crate::transport::{BoxFuture, Command, NodeIo, Session};

/// So much may be printed by a login script in front of the greeting.
const CHATTER: usize = 16 * 1024;

/// How long it may take to put the program there.
pub(super) const INSTALL: Duration = Duration::from_mins(5);

/// How long a goodbye may take.
const GRACE: Duration = Duration::from_millis(500);

/// A gateway's program that has greeted.
pub(super) struct Talk {
    /// What it is told.
    pub(super) out: Arc<Outbox>,
    /// What it says.
    lines: Lines,
    inbox: mpsc::Receiver<Event>,
    running: BoxFuture<'static, Ran>,
    ended: Option<Ran>,
    /// The end of its standard error.
    said: Vec<u8>,
}

/// How the program ended, and the session it ran on.
type Ran = (Outcome, Box<dyn Session>);

/// What a program begins with.
enum Greeting {
    Hello,
    /// It is not there; the system and machine are these.
    Missing(String),
    /// It is there and speaks other messages, in words.
    Other(String),
}

impl Talk {
    /// Connects to a gateway, puts the program there if it lacks it and that is wanted, and waits for its greeting.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(super) async fn open(
        gateways: &Gateways,
        gateway: &NodeName,
        limits: &Limits,
    ) -> Result<Self, String> {
        let connecting = gateways.transport.connect(gateway, limits);
        let session = connecting.await.map_err(|failure| failure.message)?;
        let limit = limits.connect.unwrap_or(SILENCE);
        let mut talk = Self::start(session, program::command_line());
        let (missing, why) = match talk.greeting(limit).await? {
            Greeting::Hello => return Ok(talk),
            Greeting::Missing(system) => (Some(system), program::advice(gateway)),
            Greeting::Other(why) => (None, why),
        };
        let Some(program) = &gateways.install else {
            return Err(why);
        };
        let lost = "lost while hapsh was put there";
        let mut session = talk.end().await.ok_or(lost)?;
        let system = match missing {
            Some(system) => system,
            None => {
                // A program that is there does not say what it runs on.
                let mut asked = Self::start(session, program::question());
                let Greeting::Missing(system) = asked.greeting(limit).await? else {
                    return Err(why);
                };
                session = asked.end().await.ok_or(lost)?;
                system
            }
        };
        let installed = timeout(INSTALL, program.install(&mut *session, &system)).await;
        installed.map_err(|_| format!("hapsh did not arrive within {}s", INSTALL.as_secs()))??;
        let mut talk = Self::start(session, program::command_line());
        match talk.greeting(limit).await? {
            Greeting::Hello => Ok(talk),
            Greeting::Missing(_) => Err("hapsh was put there and is not found".to_owned()),
            Greeting::Other(why) => Err(why),
        }
    }

    fn start(mut session: Box<dyn Session>, line: String) -> Self {
        let (events, inbox) = mpsc::channel(8);
        let (stop, stopped) = watch::channel(Stop::No);
        let out = Arc::new(Outbox::default());
        let outgoing = Outgoing(Arc::clone(&out));
        let running = Box::pin(async move {
            // It is stopped in its own words.
            let _stop = stop;
            let mut io = NodeIo::new(NodeId(0), events, stopped);
            let command = Command {
                line,
                stdin: Some(Input::new(Arc::new(outgoing), Meter::default())),
                pty: false,
            };
            let outcome = session.exec(&command, &mut io).await;
            (outcome, session)
        });
        Self {
            out,
            lines: Lines::new(LONGEST_TELL),
            inbox,
            running,
            ended: None,
            said: Vec::new(),
        }
    }

    /// Waits for the greeting, past what a login script prints.
    async fn greeting(&mut self, limit: Duration) -> Result<Greeting, String> {
        let listening = async {
            let mut chatter = 0;
            loop {
                while let Some(line) = self.lines.take()? {
                    if let Some(greeting) = greeting(line) {
                        return Ok(greeting);
                    }
                    chatter += line.len() + 1;
                    if chatter > CHATTER {
                        return Err("no greeting among what it says".to_owned());
                    }
                }
                self.more().await?;
            }
        };
        timeout(limit, listening)
            .await
            .unwrap_or_else(|_| Err(format!("no greeting within {}s", limit.as_secs_f64())))
    }

    /// The next message among what it has said, if a whole one is there.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn message<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, String> {
        let Some(line) = self.lines.take()? else {
            return Ok(None);
        };
        let message = serde_json::from_slice(line);
        message.map(Some).map_err(|error| {
            let text = printable(line, 60);
            format!("what it says makes no sense: `{text}` ({error})")
        })
    }

    /// Waits for more of what it says, which is then among the lines. May be dropped while it waits.
    ///
    /// # Errors
    /// Why it has ended.
    pub(super) async fn more(&mut self) -> Result<(), String> {
        loop {
            tokio::select! {
                biased;
                event = self.inbox.recv() => match event {
                    Some(Event::Output { stream: Stream::Out, data, .. }) => {
                        self.lines.push(&data);
                        return Ok(());
                    }
                    Some(Event::Output { data, .. }) => keep_tail(&mut self.said, &data),
                    Some(Event::Answer { .. } | Event::Started { .. } | Event::Finished { .. }) => {}
                    // The program has ended, and so have its words.
                    None => {
                        let outcome = self.ended.as_ref().map(|(outcome, _)| outcome);
                        return Err(why_ended(outcome, &self.said));
                    }
                },
                done = &mut self.running, if self.ended.is_none() => self.ended = Some(done),
            }
        }
    }

    /// Lets it end: it is told no more, and what it still says does not keep it. The session, if that is left.
    pub(super) async fn end(self) -> Option<Box<dyn Session>> {
        self.out.close();
        drop(self.inbox);
        match self.ended {
            Some((_, session)) => Some(session),
            None => timeout(GRACE, self.running)
                .await
                .ok()
                .map(|(_, session)| session),
        }
    }

    /// The end, and a goodbye to the gateway.
    pub(super) async fn close(self) {
        if let Some(session) = self.end().await {
            let _ = timeout(GRACE, session.close()).await;
        }
    }
}

/// The greeting in a line, if it is one.
fn greeting(line: &[u8]) -> Option<Greeting> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    if let Some(system) = text.strip_prefix(MISSING) {
        return Some(Greeting::Missing(system.trim().to_owned()));
    }
    let hello = serde_json::from_str::<Hello>(text).ok()?;
    if hello.hash == Hello::GATEWAY && hello.v == gateway::VERSION {
        return Some(Greeting::Hello);
    }
    Some(Greeting::Other(format!(
        "hapsh {} there speaks version {} of the messages, this one ({VERSION}) version {}; \
         put the same on both, or let --install-gateway do it",
        printable(hello.version.as_bytes(), 20),
        hello.v,
        gateway::VERSION
    )))
}

/// Why the program there ended before its time.
fn why_ended(outcome: Option<&Outcome>, said: &[u8]) -> String {
    let said = said
        .split(|byte| *byte == b'\n')
        .map(|line| printable(line, 200));
    let said = said.rev().find(|line| !line.trim().is_empty());
    let how = match outcome {
        Some(Outcome::Failed(failure)) => return failure.message.clone(),
        Some(Outcome::Exited { status }) => format!("hapsh ended there with {status}"),
        Some(Outcome::Killed { signal }) => format!("hapsh was killed there by SIG{signal}"),
        None => "hapsh ended there".to_owned(),
    };
    match said {
        Some(said) => format!("{how}: {said}"),
        None => how,
    }
}
