//! Standard input as it comes, read beside whatever else happens.

use std::io;

use rustix::stdio::stdin;

/// How much is read at one time.
const BLOCK: usize = 64 * 1024;

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
