//! rsh, one process for each command (`-R rsh`). It tells no exit status, so the command says its own in a last line,
//! which is taken out again.

use super::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session, Transport, child, input};
use crate::event::{ErrorCode, Event, Failure, Outcome, Stream};
use crate::plan::{Limits, NodeName};
use bytes::{Bytes, BytesMut};

/// What stands in front of the exit status.
const MARK: &[u8] = b"XXRETCODE: ";

/// The longest last line: the mark, a status of three digits, and the newline.
const LONGEST: usize = MARK.len() + 4;

/// The transport over `rsh` or what stands for it.
#[derive(Debug, Clone)]
pub struct Rsh {
    /// The program and words that always come first.
    pub program: Vec<String>,
    /// Words behind the user.
    pub options: Vec<String>,
    /// Whom to log in as.
    pub user: Option<String>,
}

impl Default for Rsh {
    fn default() -> Self {
        Self {
            program: vec!["rsh".to_owned()],
            options: Vec::new(),
            user: None,
        }
    }
}

impl Rsh {
    /// The words of the process that runs `line` on a node, as `clush` has them.
    #[must_use]
    pub fn argv(&self, node: &str, line: &str) -> Vec<String> {
        let mut words = self.program.clone();
        if let Some(user) = &self.user {
            words.extend(["-l".to_owned(), user.clone()]);
        }
        words.extend(self.options.iter().cloned());
        words.extend([node.to_owned(), format!("{line} ; echo XXRETCODE: $?")]);
        words
    }
}

impl Transport for Rsh {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        _limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        let session = RshSession {
            rsh: self.clone(),
            node: node.clone(),
        };
        Box::pin(async { Ok(Box::new(session) as Box<dyn Session>) })
    }
}

#[derive(Debug)]
struct RshSession {
    rsh: Rsh,
    node: NodeName,
}

impl Session for RshSession {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let mut words = self.rsh.argv(&self.node, &command.line).into_iter();
            let program = words.next().unwrap_or_default();
            let mut process = tokio::process::Command::new(&program);
            process.args(words);
            let (mut own, mut inbox) = io.part();
            let stdin = command.stdin.clone();
            let running = async {
                let ended = child::run(process, stdin, &mut own).await;
                drop(own);
                ended
            };
            let mut tail = Tail::default();
            let telling = async {
                while let Some(event) = inbox.recv().await {
                    let Event::Output { stream, data, .. } = event else {
                        continue;
                    };
                    match stream {
                        Stream::Err => io.output(stream, data).await,
                        Stream::Out => {
                            let data = tail.push(&data);
                            if !data.is_empty() {
                                io.output(stream, data).await;
                            }
                        }
                    }
                }
            };
            let (ended, ()) = tokio::join!(running, telling);
            let (rest, status) = tail.finish();
            if !rest.is_empty() {
                io.output(Stream::Out, rest).await;
            }
            match ended {
                Ok(ended) => match (&ended.unfed, status, ended.status) {
                    (Some(error), ..) => input::unreadable(error),
                    (None, Some(status), _) => Outcome::Exited { status },
                    (None, None, _) if ended.stopped => Outcome::failed(
                        ErrorCode::Stopped,
                        "stopped; the command may still be running",
                    ),
                    // Without the last line the command was not run to its end, whatever rsh itself says.
                    (None, None, Some(status)) if !status.success() => child::outcome(status),
                    (None, None, _) => Outcome::failed(
                        ErrorCode::Lost,
                        "rsh ended without the command's exit status; it may still be running",
                    ),
                },
                Err(error) => Outcome::failed(
                    ErrorCode::ExecRefused,
                    format!(
                        "cannot start `{program}`: {error}; install it or use the native worker"
                    ),
                ),
            }
        })
    }

    fn open<'a>(
        &'a mut self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        Box::pin(async move {
            Err(Failure::new(
                ErrorCode::Socket,
                format!("cannot reach {endpoint}: rsh carries no streams; use the native worker"),
            ))
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// Holds back the end of the output, which may be the line with the status.
#[derive(Debug, Default)]
struct Tail(BytesMut);

impl Tail {
    /// What is surely the command's own.
    fn push(&mut self, data: &[u8]) -> Bytes {
        self.0.extend_from_slice(data);
        let own = self.0.len().saturating_sub(LONGEST);
        self.0.split_to(own).freeze()
    }

    /// The rest of the command's own, and its status if the last line is there.
    fn finish(mut self) -> (Bytes, Option<u8>) {
        let at = memchr::memmem::rfind(&self.0, MARK);
        let status = at.and_then(|at| {
            let number = self.0[at + MARK.len()..].strip_suffix(b"\n")?;
            std::str::from_utf8(number).ok()?.parse().ok()
        });
        if let (Some(at), Some(_)) = (at, status) {
            self.0.truncate(at);
        }
        (self.0.freeze(), status)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_as_clush_has_them() {
        let rsh = Rsh {
            user: Some("me".into()),
            options: vec!["-x".into()],
            ..Rsh::default()
        };
        assert_eq!(
            rsh.argv("n1", "true"),
            ["rsh", "-l", "me", "-x", "n1", "true ; echo XXRETCODE: $?"]
        );
    }

    #[test]
    fn without_the_last_line_nothing_is_taken_out() {
        let mut tail = Tail::default();
        let first = tail.push(b"permission denied\nXXRETCODE: ");
        let (rest, status) = tail.finish();
        assert_eq!([first, rest].concat(), b"permission denied\nXXRETCODE: ");
        assert_eq!(status, None);
    }

    proptest! {
        #[test]
        fn the_status_is_found_and_the_rest_is_whole(output in "[XR: \na0]{0,40}", status: u8, cut in 0usize..60) {
            let all = format!("{output}XXRETCODE: {status}\n").into_bytes();
            let (one, two) = all.split_at(cut.min(all.len()));
            let mut tail = Tail::default();
            let mut own = tail.push(one).to_vec();
            own.extend_from_slice(&tail.push(two));
            let (rest, found) = tail.finish();
            own.extend_from_slice(&rest);
            prop_assert_eq!(own, output.into_bytes());
            prop_assert_eq!(found, Some(status));
        }
    }
}
