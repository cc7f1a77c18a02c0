//! One gateway that hands out sessions: who waits for what it says, and what becomes of them when it is lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::notices::Notices;
use super::outbox::Outbox;
use super::pipe::{End, Pipe};

use super::talk::Talk;
use super::{Gateways, Notice, SILENCE};
use crate::event::{ErrorCode, Failure, Outcome};
use crate::gateway::session::{Call, Reply};
use crate::gateway::{SshClient, is_of_open, is_of_run};
use crate::plan::NodeName;
use crate::transport::ssh::errors::printable;

/// The connection to a gateway, as its sessions have it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) gateway: NodeName,
    pub(super) out: Arc<Outbox>,
    /// What the gateway reaches nodes with.
    pub(super) client: SshClient,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Sessions and streams that were given out so far; the numbers begin with 1.
    given: u32,
    /// Who waits for the answer about a session.
    waiting: HashMap<u32, oneshot::Sender<Answer>>,
    streams: HashMap<u32, Arc<Pipe<Call>>>,
    /// Why there is no gateway any more.
    lost: Option<String>,
}

impl State {
    /// The next number.
    fn number(&mut self) -> Result<u32, String> {
        if let Some(why) = &self.lost {
            return Err(why.clone());
        }
        let used_up = || "all numbers of streams are used up".to_owned();
        self.given = self.given.checked_add(1).ok_or_else(used_up)?;
        Ok(self.given)
    }
}

/// What is said about a session.
#[derive(Debug)]
pub(super) enum Answer {
    /// Whether it could be made.
    Connected(Result<(), Failure>),
    /// Whether its node is still there.
    Answered(bool),
}

impl Link {
    pub(super) fn new(gateway: NodeName, out: Arc<Outbox>, client: SshClient) -> Self {
        Self {
            gateway,
            out,
            client,
            state: Mutex::default(),
        }
    }

    /// The number for a new session.
    ///
    /// # Errors
    /// When the gateway is lost.
    pub(super) fn number(&self) -> Result<u32, String> {
        self.lock().number()
    }

    /// Asks something about a session and waits for the answer.
    ///
    /// # Errors
    /// When the gateway is lost before it answers.
    pub(super) async fn ask(&self, session: u32, call: &Call) -> Result<Answer, String> {
        let (sender, answer) = oneshot::channel();
        {
            let mut state = self.lock();
            if let Some(why) = &state.lost {
                return Err(why.clone());
            }
            state.waiting.insert(session, sender);
        }
        self.out.push(call);
        answer.await.map_err(|_| self.why_lost())
    }

    /// Begins a stream with what `call` asks for.
    ///
    /// # Errors
    /// `Lost` when the gateway is.
    pub(super) fn begin(
        self: &Arc<Self>,
        call: impl FnOnce(u32) -> Call,
    ) -> Result<Running, Failure> {
        let (number, pipe) = {
            let mut state = self.lock();
            let number = state.number().map_err(|why| self.lost(&why))?;
            let pipe = Arc::new(Pipe::new(number, Arc::clone(&self.out)));
            state.streams.insert(number, Arc::clone(&pipe));
            (number, pipe)
        };
        self.out.push(&call(number));
        Ok(Running {
            link: Arc::clone(self),
            number,
            pipe,
        })
    }

    /// The failure of what was on a gateway that is lost.
    pub(super) fn lost(&self, why: &str) -> Failure {
        let text = format!("lost with gateway {} ({why})", self.gateway);
        Failure::new(ErrorCode::Lost, text)
    }

    /// Why the gateway is lost.
    pub(super) fn why_lost(&self) -> String {
        let state = self.lock();
        state
            .lost
            .clone()
            .unwrap_or_else(|| "it was left".to_owned())
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lock().lost.is_some()
    }

    /// Nothing is to be had from it any more.
    fn lose(&self, why: &str) {
        let (waiting, streams) = {
            let mut state = self.lock();
            state.lost.get_or_insert_with(|| why.to_owned());
            (
                std::mem::take(&mut state.waiting),
                std::mem::take(&mut state.streams),
            )
        };
        drop(waiting);
        for pipe in streams.into_values() {
            pipe.ended(End::Failed(self.lost(why)));
        }
        self.out.close();
    }

    /// Takes in what the gateway says, until it is lost.
    pub(super) async fn serve(self: Arc<Self>, gateways: Gateways, mut talk: Talk) {
        let mut notices = Notices::new(&gateways, &self.gateway);
        // A task that is dropped leaves nobody waiting.
        let losing = Losing(Arc::clone(&self));
        let why = loop {
            let quiet_until = Instant::now() + SILENCE;
            let more = tokio::select! {
                more = talk.more() => more,
                () = sleep_until(quiet_until) => Err(format!("silent for {}s", SILENCE.as_secs())),
            };
            let heard = more.and_then(|()| {
                while let Some(reply) = talk.message()? {
                    self.hear(reply, &gateways, &mut notices)?;
                }
                Ok(())
            });
            if let Err(why) = heard {
                break why;
            }
        };
        // Much of it is in the gateway's own words.
        self.lose(&printable(why.as_bytes(), 400));
        drop(losing);
    }

    /// Takes in a message. Waits for nothing: whoever is slow has a window of its own.
    fn hear(&self, reply: Reply, gateways: &Gateways, notices: &mut Notices) -> Result<(), String> {
        let labelled = |failure: Failure| gateways.believed(failure, &self.gateway);
        let believed =
            |failure: Failure, is_known: fn(ErrorCode) -> bool| match is_known(failure.code) {
                true => Ok(labelled(failure)),
                false => Err(format!("nothing there ends with {}", failure.code)),
            };
        match reply {
            Reply::Connected { session } => self.answer(session, Answer::Connected(Ok(()))),
            Reply::NotConnected { session, failure } => {
                let failure = believed(failure, is_of_run)?;
                self.answer(session, Answer::Connected(Err(failure)))
            }
            Reply::Answered { session, there } => self.answer(session, Answer::Answered(there)),
            Reply::Opened { stream } => self.with(stream, |pipe| {
                pipe.opened();
                Ok(())
            }),
            Reply::NotOpened { stream, failure } => {
                self.end(stream, End::Failed(believed(failure, is_of_open)?))
            }
            Reply::Data { stream, of, data } => self.with(stream, |pipe| pipe.came(of, data.0)),
            Reply::Room { stream, bytes } => self.with(stream, |pipe| pipe.has_room(bytes)),
            Reply::Eof { stream } => self.end(stream, End::Eof),
            Reply::Broken { stream, message } => {
                let failure = Failure::new(ErrorCode::Lost, message);
                self.end(stream, End::Failed(labelled(failure)))
            }
            Reply::Ended { stream, outcome } => {
                let outcome = match outcome {
                    Outcome::Failed(failure) => Outcome::Failed(believed(failure, is_of_run)?),
                    Outcome::Killed { signal } => Outcome::Killed {
                        signal: printable(signal.as_bytes(), 20),
                    },
                    exited @ Outcome::Exited { .. } => exited,
                };
                self.end(stream, End::Ended(outcome))
            }
            Reply::Failed { gateway, message } => {
                let message = gateways.labelled(&message, &self.gateway);
                let gateway = notices.failed(&gateway)?;
                gateways.parent.notice(Notice::Failed {
                    gateway: &gateway,
                    message: &message,
                });
                Ok(())
            }
            Reply::Alive => Ok(()),
        }
    }

    fn answer(&self, session: u32, answer: Answer) -> Result<(), String> {
        let waiting = self.lock().waiting.remove(&session);
        match waiting {
            Some(waiting) => {
                // It may have been given up this moment.
                let _ = waiting.send(answer);
                Ok(())
            }
            None => self.known(session),
        }
    }

    fn end(&self, stream: u32, end: End) -> Result<(), String> {
        self.with(stream, |pipe| {
            pipe.ended(end);
            Ok(())
        })
    }

    fn with(
        &self,
        stream: u32,
        what: impl FnOnce(&Pipe<Call>) -> Result<(), String>,
    ) -> Result<(), String> {
        let pipe = self.lock().streams.get(&stream).cloned();
        match pipe {
            Some(pipe) => what(&pipe),
            None => self.known(stream),
        }
    }

    /// What was given up may still be spoken of for a while.
    fn known(&self, number: u32) -> Result<(), String> {
        match (1..=self.lock().given).contains(&number) {
            true => Ok(()),
            false => Err(format!(
                "it speaks of number {number}, which was never given"
            )),
        }
    }

    /// Nobody waits for the answer about a session any more.
    pub(super) fn forget(&self, session: u32) {
        self.lock().waiting.remove(&session);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loses the gateway when it is dropped.
struct Losing(Arc<Link>);

impl Drop for Losing {
    fn drop(&mut self) {
        self.0.lose("it was left");
    }
}

/// A stream in use. Dropping it ends it on the gateway, too.
#[derive(Debug)]
pub(super) struct Running {
    link: Arc<Link>,
    number: u32,
    pub(super) pipe: Arc<Pipe<Call>>,
}

impl Running {
    /// The gateway it goes through.
    pub(super) fn gateway(&self) -> &NodeName {
        &self.link.gateway
    }

    /// Sends a message about the stream.
    pub(super) fn tell(&self, call: impl FnOnce(u32) -> Call) {
        self.link.out.push(&call(self.number));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let stream = self.number;
        self.link.lock().streams.remove(&stream);
        self.link.out.push(&Call::Drop { stream });
    }
}
