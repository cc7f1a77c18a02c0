//! A command run here by `/bin/sh`, its output and its errors on one pipe in the order they were written.
//!
//! This is how services run what is local. The node's name is not used: who wants it in the command puts
//! it there.

use std::io;
use std::process::Stdio;

use bytes::{Bytes, BytesMut};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command as Process};

use super::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session, Transport};
use crate::event::{ErrorCode, Failure, Outcome, Stop, Stream};
use crate::plan::{Limits, NodeName};

/// The most that is read at once.
const CHUNK: usize = 16 * 1024;

/// Runs commands here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shell;

impl Transport for Shell {
    fn connect<'a>(
        &'a self,
        _node: &'a NodeName,
        _limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        Box::pin(async { Ok(Box::new(Shell) as Box<dyn Session>) })
    }
}

impl Session for Shell {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match spawn(&command.line) {
                Ok((child, output)) => attend(Group(Some(child)), output, io).await,
                Err(error) => Outcome::failed(
                    ErrorCode::ExecRefused,
                    format!("cannot run /bin/sh: {error}"),
                ),
            }
        })
    }

    fn open<'a>(
        &'a mut self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        Box::pin(async move {
            let failure = |error: io::Error| {
                let code = if error.kind() == io::ErrorKind::PermissionDenied {
                    ErrorCode::Permission
                } else {
                    ErrorCode::Socket
                };
                Failure::new(code, format!("{endpoint}: {error}"))
            };
            let stream: Box<dyn Duplex> = match endpoint {
                Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(failure)?),
                Endpoint::Tcp { host, port } => Box::new(
                    tokio::net::TcpStream::connect((host.as_str(), *port))
                        .await
                        .map_err(failure)?,
                ),
            };
            Ok(stream)
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// Starts the command in a process group of its own, so that a signal meant for us does not reach it and one
/// meant for it reaches all of it.
fn spawn(line: &str) -> io::Result<(Child, pipe::Receiver)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let child = Process::new("/bin/sh")
        .arg("-c")
        .arg(line)
        .stdin(Stdio::null())
        .stdout(Stdio::from(write.try_clone()?))
        .stderr(Stdio::from(write))
        .process_group(0)
        .spawn()?;
    Ok((child, pipe::Receiver::from_owned_fd(read)?))
}

/// A child that leads a process group; the whole group is gone when it is dropped.
struct Group(Option<Child>);

impl Group {
    fn signal(&self, signal: Signal) {
        let id = self.0.as_ref().and_then(Child::id);
        if let Some(group) = id
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
        {
            // A group that is gone needs no signal.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Hands over the output until the command has ended and nobody can write any more.
async fn attend(mut group: Group, mut output: pipe::Receiver, io: &mut NodeIo) -> Outcome {
    let mut asked = false;
    let mut buffer = BytesMut::with_capacity(CHUNK);
    loop {
        tokio::select! {
            biased;
            () = io.stopped(Stop::Terminate), if !asked => {
                asked = true;
                group.signal(Signal::TERM);
            }
            read = output.read_buf(&mut buffer) => match read {
                Ok(0) | Err(_) => break,
                Ok(_) => {
                    let data: Bytes = buffer.split().freeze();
                    io.output(Stream::Out, data).await;
                    buffer.reserve(CHUNK);
                }
            }
        }
    }
    let Some(child) = &mut group.0 else {
        return Outcome::OK;
    };
    let ended = loop {
        tokio::select! {
            biased;
            ended = child.wait() => break ended,
            () = io.stopped(Stop::Terminate), if !asked => {
                asked = true;
                if let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
                    let _ = kill_process_group(group, Signal::TERM);
                }
            }
        }
    };
    match ended {
        Ok(_) if asked => Outcome::failed(ErrorCode::Stopped, "stopped"),
        Ok(status) => outcome(status),
        Err(error) => Outcome::failed(ErrorCode::Lost, format!("lost the command: {error}")),
    }
}

fn outcome(status: std::process::ExitStatus) -> Outcome {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Outcome::Exited {
            status: u8::try_from(code).unwrap_or(u8::MAX),
        },
        // As the shell that waits for it would tell.
        (None, signal) => Outcome::Exited {
            status: signal
                .and_then(|signal| u8::try_from(128 + signal).ok())
                .unwrap_or(u8::MAX),
        },
    }
}
