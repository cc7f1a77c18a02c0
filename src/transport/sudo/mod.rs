//! Whatever is done on a node, done as another user with `sudo` there: a transport around another one.
//!
//! Commands, streams to sockets and subsystems all become commands of `sudo`, so every verb gets it at once. How such a
//! command and we come to terms is in `talk`, who gets the password when in `password`.

mod password;
mod talk;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::pipe::Pipe;
use super::relay::{self, Via, Wanted};
use super::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session, Transport};
use crate::event::{ErrorCode, Failure, Outcome};
use crate::plan::{Limits, NodeName};
use crate::prompt::Prompter;
use crate::trace::Trace;
use password::Password;
use talk::Talk;

/// What a command says that only proves that `sudo` lets us.
const READY: &str = "hash-become-ready\n";

/// So much may a login script say before it.
const CHATTER: usize = 16 * 1024;

/// Where SFTP servers are; the first one there is started.
const SFTP: &str = "for s in /usr/lib/openssh /usr/libexec/openssh /usr/lib/ssh /usr/libexec /usr/lib/sftp-server; do \
    test -x $s/sftp-server && exec $s/sftp-server; done; echo no sftp-server >&2; exit 127";

/// Reaches nodes as another transport does, and is another user there.
#[derive(Debug)]
pub struct AsUser {
    inner: Box<dyn Transport>,
    sudo: Arc<Sudo>,
}

/// Another user, and what all commands of `sudo` have in common: the password is asked for once.
pub struct Sudo {
    user: String,
    via: Via,
    /// What only we know: no node can make up the words that have it.
    nonce: String,
    password: Arc<Password>,
    trace: Trace,
}

impl fmt::Debug for Sudo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sudo")
            .field("user", &self.user)
            .field("via", &self.via)
            .finish_non_exhaustive()
    }
}

impl Sudo {
    /// Another user. `via` is how sockets are reached on the nodes, `nonce` a word that cannot be guessed, `prompter` asks
    /// for the password, `trace` is told how it went.
    #[must_use]
    pub fn new(
        user: String,
        via: Via,
        nonce: String,
        (prompter, trace): (Arc<dyn Prompter>, Trace),
    ) -> Self {
        Self {
            user,
            via,
            nonce,
            password: Arc::new(Password::new(prompter)),
            trace,
        }
    }
}

impl AsUser {
    /// The nodes that `inner` reaches, with another user there.
    #[must_use]
    pub fn new(inner: Box<dyn Transport>, sudo: Arc<Sudo>) -> Self {
        Self { inner, sudo }
    }
}

impl Transport for AsUser {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        Box::pin(async move {
            let inner = self.inner.connect(node, limits).await?;
            let session: Box<dyn Session> = Box::new(AsUserSession {
                node: node.clone(),
                inner,
                sudo: Arc::clone(&self.sudo),
                limit: limits.authenticate,
                is_ready: false,
            });
            Ok(session)
        })
    }
}

/// A session in which everything is done by another user.
struct AsUserSession {
    node: NodeName,
    inner: Box<dyn Session>,
    sudo: Arc<Sudo>,
    /// How long `sudo` may take to answer.
    limit: Option<Duration>,
    is_ready: bool,
}

impl AsUserSession {
    /// The command for the inner session, its line, and what hears it.
    fn wrap(&self, command: &Command, io: &NodeIo) -> (Command, NodeIo, Talk) {
        let (own, inbox) = io.part();
        let place = (&self.sudo, &self.node);
        let (command, talk) = Talk::new(place, command, self.limit, inbox);
        (command, own, talk)
    }
}

impl Session for AsUserSession {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        let (command, mut own, talk) = self.wrap(command, io);
        let inner = &mut self.inner;
        let running = async move {
            let outcome = inner.exec(&command, &mut own).await;
            // Closes its line to the talk, which then ends too.
            drop(own);
            outcome
        };
        Box::pin(talk.attend(running, io))
    }

    fn begin(&mut self, command: Command, io: NodeIo) -> BoxFuture<'static, Outcome> {
        let (command, own, talk) = self.wrap(&command, &io);
        let running = self.inner.begin(command, own);
        Box::pin(async move { talk.attend(running, &io).await })
    }

    fn ready(&mut self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            if !self.is_ready {
                self.inner.ready().await?;
                let line = format!("echo {}", READY.trim_end());
                let mut pipe = Pipe::start(self, "sudo", line);
                // It reads nothing.
                let _ = pipe.shutdown().await;
                let ready = pipe
                    .skip_past_within(READY.as_bytes(), CHATTER, self.limit)
                    .await;
                ready.map_err(|ended| match ended.outcome {
                    Outcome::Failed(failure) => failure,
                    Outcome::Exited { .. } | Outcome::Killed { .. } => {
                        let text =
                            format!("sudo runs something else than it is told: {}", ended.said);
                        Failure::new(ErrorCode::ExecRefused, text)
                    }
                })?;
                self.is_ready = true;
            }
            Ok(())
        })
    }

    fn is_logged_in(&self) -> bool {
        self.is_ready || self.inner.is_logged_in()
    }

    fn open<'a>(
        &'a mut self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        Box::pin(async move {
            let sudo = Arc::clone(&self.sudo);
            let wanted = Wanted {
                endpoint,
                via: &sudo.via,
                user: &sudo.user,
                is_become: true,
                refused: None,
            };
            let opened = relay::open(self, wanted).await?;
            let (by, user) = (&opened.by, &sudo.user);
            sudo.trace
                .brief(&self.node, || format!("{endpoint} by {by}, as {user}"));
            Ok(opened.stream)
        })
    }

    fn answers(&mut self, idle: Duration) -> BoxFuture<'_, bool> {
        self.inner.answers(idle)
    }

    fn subsystem<'a>(
        &'a mut self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        Box::pin(async move {
            if name != "sftp" {
                let text = format!("the subsystem {name} cannot be had by sudo");
                return Err(Failure::new(ErrorCode::ExecRefused, text));
            }
            let pipe = Pipe::start(self, "the SFTP server", SFTP.to_owned());
            Ok(Box::new(pipe) as Box<dyn Duplex>)
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.inner.close()
    }
}

#[cfg(test)]
mod tests;
