//! Commands from a standard input that is no terminal.

use std::string::FromUtf8Error;

use crate::terminal::editor::Typed;

/// Reads lines and not a byte more, so that a command here finds the rest of standard input.
#[derive(Debug, Default)]
pub(in crate::cli) struct Script;

impl Script {
    /// The next line.
    ///
    /// # Errors
    /// When it is no text.
    pub(in crate::cli) async fn line(&self) -> Result<Typed, FromUtf8Error> {
        let read = tokio::task::spawn_blocking(|| {
            let (mut line, mut byte) = (Vec::new(), [0]);
            while matches!(rustix::io::read(rustix::stdio::stdin(), &mut byte), Ok(1)) {
                if byte == *b"\n" {
                    return Some(line);
                }
                line.push(byte[0]);
            }
            (!line.is_empty()).then_some(line)
        });
        match read.await {
            Ok(Some(line)) => String::from_utf8(line).map(Typed::Line),
            Ok(None) | Err(_) => Ok(Typed::End),
        }
    }
}
