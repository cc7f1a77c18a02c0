//! Logs in to a node and does nothing there: that this could be done is the answer.

use super::Work;
use crate::event::{ErrorCode, NodeId, Outcome, Stream};
use crate::transport::{BoxFuture, Command, NodeIo, Session};

/// What `ssh` returns when it failed itself.
const SSH_FAILED: u8 = 255;

/// Says `ok`.
#[derive(Debug)]
pub struct Ping;

impl Work for Ping {
    fn serve<'a>(
        &'a self,
        _node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            if let Err(failure) = session.ready().await {
                return Outcome::Failed(failure);
            }
            if !session.is_logged_in()
                && let Some(failed) = log_in(session, io).await
            {
                return failed;
            }
            io.output(Stream::Out, (&b"ok\n"[..]).into()).await;
            Outcome::OK
        })
    }
}

/// Logs in with a command that every shell knows and that does nothing. Says how that failed, if it did: whatever a
/// command returns, somebody has logged in to run it.
async fn log_in(session: &mut dyn Session, io: &NodeIo) -> Option<Outcome> {
    let command = Command {
        line: "exit".to_owned(),
        ..Command::default()
    };
    let (mut part, mut said) = io.part();
    let running = async {
        let outcome = session.exec(&command, &mut part).await;
        drop(part);
        outcome
    };
    // What it says is in the outcome, in fewer words.
    let passing_over = async { while said.recv().await.is_some() {} };
    match tokio::join!(running, passing_over).0 {
        Outcome::Exited { status: SSH_FAILED } => Some(Outcome::failed(
            ErrorCode::Connect,
            "ssh failed and does not say why; a LogLevel of INFO lets it",
        )),
        Outcome::Exited { .. } | Outcome::Killed { .. } => None,
        failed @ Outcome::Failed(_) => Some(failed),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::event::{Event, Stop};
    use crate::plan::{Limits, NodeName};
    use crate::transport::Transport as _;
    use crate::transport::openssh::OpenSsh;

    /// What is told of a node when `ssh` is this script.
    async fn ping(script: &str) -> (Outcome, bool) {
        let ssh = OpenSsh {
            program: ["sh", "-c", script].map(str::to_owned).to_vec(),
            ..OpenSsh::default()
        };
        let (name, limits) = (NodeName::from("n1"), Limits::default());
        let mut session = ssh.connect(&name, &limits).await.unwrap();
        let (events, mut inbox) = mpsc::channel::<Event>(8);
        let (_stop, stopped) = watch::channel(Stop::No);
        let mut io = NodeIo::new(NodeId(0), events, stopped);
        let outcome = Ping.serve(NodeId(0), &mut *session, &mut io).await;
        drop(io);
        (outcome, inbox.recv().await.is_some())
    }

    #[tokio::test]
    async fn who_logs_in_for_each_command_logs_in_for_this_too() {
        assert_eq!(ping("exit 0").await, (Outcome::OK, true));
        assert_eq!(
            ping("echo not for you; exit 1").await,
            (Outcome::OK, true),
            "a forced command, or a user without a shell"
        );
        let (outcome, spoke) =
            ping("echo 'ssh: connect to host n1 port 22: Connection refused' >&2; exit 255").await;
        assert!(
            matches!(&outcome, Outcome::Failed(failure) if failure.code == ErrorCode::Refused),
            "{outcome:?}"
        );
        assert!(!spoke, "no ok, and nothing beside the outcome");
        let (outcome, _) = ping("exit 255").await;
        assert!(
            matches!(&outcome, Outcome::Failed(failure) if failure.code == ErrorCode::Connect),
            "{outcome:?}"
        );
    }
}
