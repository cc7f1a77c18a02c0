//! Standard input as it comes, read beside whatever else happens.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::stdin;

/// How much is read at one time.
const BLOCK: usize = 64 * 1024;

/// What standard input gives at once, without a wait: some bytes, and no bytes where it has none yet or is at its end. Tells
/// an input that cannot be read at all before anything depends on it.
///
/// # Errors
/// When it cannot be read.
pub fn at_once() -> io::Result<Vec<u8>> {
    // What is no input at all, such as a folder, says so to a read of nothing.
    rustix::io::read(stdin(), &mut [0; 0])?;
    let stdin = stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    if poll(&mut fds, Some(&Timespec::default()))? == 0 {
        return Ok(Vec::new());
    }
    let mut block = vec![0; BLOCK];
    let count = rustix::io::read(stdin, &mut block)?;
    block.truncate(count);
    Ok(block)
}

/// Hands on what standard input gives until its end: bytes to `push`, then `None`, or what went wrong, to `end`. A `push` that
/// fails ends it.
///
/// The thread is left behind when the process ends: a read from a pipe cannot be called off.
pub fn follow(
    mut push: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    end: impl FnOnce(Option<io::ErrorKind>) + Send + 'static,
) {
    std::thread::spawn(move || {
        let mut block = vec![0; BLOCK];
        let error = loop {
            match rustix::io::read(stdin(), &mut block) {
                Ok(0) => break None,
                Ok(count) => {
                    if let Err(error) = push(&block[..count]) {
                        break Some(error.kind());
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => break Some(error.kind()),
            }
        };
        end(error);
    });
}
