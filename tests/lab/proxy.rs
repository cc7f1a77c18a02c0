//! Stands between `hash` and the admin socket of a HAProxy, and lets something happen at a certain question.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// When something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A question has come, and HAProxy has not heard of it.
    Asked,
    /// The whole answer was passed on.
    Answered,
}

/// What becomes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// HAProxy answers it.
    Pass,
    /// This is the answer, and HAProxy hears nothing of it.
    Say(&'static str),
    /// So much of the answer comes, and then nothing for so long.
    Stall(usize, Duration),
}

/// What is done at which moment of which question; the first question is 0.
type Hook = dyn Fn(Moment, usize, &str) -> Act + Send + Sync;

/// A socket in front of an admin socket. Dropping it ends it.
pub(crate) struct Proxy {
    path: PathBuf,
    /// The path as the node sees it, for `--socket`.
    socket: String,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("path", &self.path).finish()
    }
}

impl Proxy {
    /// A proxy `/run/haproxy/NAME` on a node whose folder is `dir`.
    pub(super) fn start(
        (dir, name): (&Path, &str),
        admin: PathBuf,
        hook: impl Fn(Moment, usize, &str) -> Act + Send + Sync + 'static,
    ) -> Self {
        let path = dir.join(name);
        // What an earlier one left.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a socket in the node's folder");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).expect("chmod");
        let over = Arc::new(AtomicBool::new(false));
        let (hook, questions): (Arc<Hook>, _) = (Arc::new(hook), Arc::new(AtomicUsize::new(0)));
        let is_over = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (hook, admin) = (Arc::clone(&hook), admin.clone());
                let questions = Arc::clone(&questions);
                std::thread::spawn(move || {
                    // Either side may go away.
                    let _ = serve(stream, &admin, (&*hook, &questions));
                });
            }
        });
        Self {
            path,
            socket: format!("/run/haproxy/{name}"),
            over,
            thread: Some(thread),
        }
    }

    /// The socket as the node sees it.
    pub(crate) fn socket(&self) -> &str {
        &self.socket
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

fn serve(
    mut client: UnixStream,
    admin: &Path,
    (hook, questions): (&Hook, &AtomicUsize),
) -> std::io::Result<()> {
    let mut question = Vec::new();
    let mut byte = [0];
    while !question.ends_with(b"\n") {
        if client.read(&mut byte)? == 0 {
            return Ok(());
        }
        question.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&question).trim().to_owned();
    let number = questions.fetch_add(1, Ordering::SeqCst);
    let act = hook(Moment::Asked, number, &text);
    if let Act::Say(answer) = act {
        client.write_all(answer.as_bytes())?;
    } else {
        let mut server = UnixStream::connect(admin)?;
        server.write_all(&question)?;
        let mut left = match act {
            Act::Stall(room, _) => room,
            Act::Pass | Act::Say(_) => usize::MAX,
        };
        let mut chunk = [0; 16 * 1024];
        loop {
            let room = chunk.len().min(left);
            let count = server.read(&mut chunk[..room])?;
            if count == 0 {
                break;
            }
            client.write_all(&chunk[..count])?;
            left -= count;
            if let (Act::Stall(_, pause), 0) = (&act, left) {
                std::thread::sleep(*pause);
                return Ok(());
            }
        }
    }
    client.shutdown(std::net::Shutdown::Write)?;
    hook(Moment::Answered, number, &text);
    Ok(())
}
