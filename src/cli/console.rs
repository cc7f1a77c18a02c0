//! Where a front-end writes: standard output and standard error, opened once.

use std::any::Any;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use crate::prompt::TerminalLock;
use crate::report::Screen;
use crate::report::text::write_visible;
use crate::terminal::outlet::Outlet;
use crate::terminal::quiet::Hushed;
use crate::terminal::size;

/// Standard output, buffered, and standard error, not.
///
/// Both go straight to the descriptor: the standard library's `Stdout` would flush at each line and
/// hide a full disk until the end.
#[derive(Debug)]
pub struct Console {
    /// Standard output. Flushed by who writes; [`Console::close`] reports what could not be written.
    pub out: BufWriter<Outlet>,
    /// Standard error.
    pub err: File,
    /// Lost output was told of.
    told: bool,
    /// Whether standard output is a terminal.
    pub out_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub err_is_terminal: bool,
    /// Whether the terminal knows codes that wipe and move.
    has_codes: bool,
    /// Whether a question has the terminal.
    pub terminal_lock: TerminalLock,
}

impl Console {
    /// The console of this process.
    ///
    /// # Errors
    /// When the process may open no descriptor at all.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that opens them"
    )]
    pub fn open() -> io::Result<Self> {
        let (out, err) = (io::stdout(), io::stderr());
        Ok(Self {
            told: false,
            has_codes: has_codes(),
            terminal_lock: TerminalLock::default(),
            out_is_terminal: out.is_terminal(),
            err_is_terminal: err.is_terminal(),
            out: BufWriter::with_capacity(64 * 1024, Outlet::new(duplicate(&out)?)),
            err: duplicate(&err)?,
        })
    }

    /// The terminal that standard error is, if it is one.
    #[must_use]
    pub fn screen(&self) -> Option<Screen> {
        if !self.err_is_terminal {
            return None;
        }
        Some(Screen {
            out: Arc::new(self.err.try_clone().ok()?),
            size: |err| size::of(err),
            has_codes: self.has_codes,
            hush: || Hushed::new().map(|hushed| Box::new(hushed) as Box<dyn Any>),
        })
    }

    /// Writes one line to standard error. Nothing can be done if that fails, so nothing is. Much of what is complained of
    /// was said by nodes or stands in files of others, so a terminal is shown its control characters.
    pub fn complain(&mut self, line: impl std::fmt::Display) {
        if !self.err_is_terminal {
            let _ = writeln!(self.err, "{line}");
            return;
        }
        let mut shown = Vec::new();
        for part in line.to_string().split('\n') {
            let _ = write_visible(&mut shown, part.as_bytes());
            shown.push(b'\n');
        }
        let _ = self.err.write_all(&shown);
    }

    /// Says once that output was lost, unless the reader went away. Returns the exit code for that.
    pub fn lost(&mut self, called: &str, error: &io::Error) -> u8 {
        let code = super::exit::lost_output(error);
        if code != 141 && !self.told {
            self.told = true;
            self.complain(format_args!("{called}: cannot write the output: {error}"));
        }
        code
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// What the system said, `BrokenPipe` when the reader went away.
    pub fn close(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether the terminal says that it knows codes.
#[expect(
    clippy::disallowed_methods,
    reason = "the console is there before the environment is read"
)]
fn has_codes() -> bool {
    std::env::var_os("TERM").is_some_and(|kind| kind != "dumb" && !kind.is_empty())
}

/// The descriptor as a file of its own, without the standard library's buffer. The standard library
/// opens `/dev/null` for descriptors that are closed at start, so this fails only when no descriptor is left.
fn duplicate(stream: &impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}
