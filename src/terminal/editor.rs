//! A line editor on the terminal, with history and completion, beside whatever else goes on.
//!
//! The editor waits for keys in a thread of its own, so that the connections of the async engine live on meanwhile. It has
//! the terminal only while a line is asked for; whatever ends that, the terminal gets its modes back.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc as blocking;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::{History as _, MemHistory};
use rustyline::validate::Validator;
use rustyline::{Behavior, CompletionType, Config, Helper};
use tokio::sync::mpsc;

use super::ask::{TerminalPrompter, open_terminal};
use super::history::History;
use crate::prompt::{Echo, Prompter, TerminalLock};

/// How many lines of history can be recalled.
const REMEMBERED: usize = 1000;

/// What a person did at the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// Entered a line.
    Line(String),
    /// Pressed Ctrl-C.
    Interrupt,
    /// Pressed Ctrl-D, or the terminal is gone.
    End,
}

/// Knows how a word goes on.
pub trait Complete: Send {
    /// Where the word at the byte `at` of the line begins, and what it could be.
    fn complete(&self, line: &str, at: usize) -> (usize, Vec<String>);
}

/// What the terminal can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Moves its cursor about.
    Full,
    /// Shows one character after another, such as `TERM=dumb`.
    Dumb,
}

/// Asks for lines on the terminal.
pub struct Editor {
    way: Way,
    history: Option<History>,
}

enum Way {
    Full(Full),
    Dumb(TerminalPrompter),
}

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Editor").finish_non_exhaustive()
    }
}

impl Editor {
    /// An editor on the terminal of this process.
    ///
    /// # Errors
    /// When there is no such terminal.
    pub fn open(
        kind: Kind,
        history: Option<History>,
        complete: Box<dyn Complete>,
    ) -> io::Result<Self> {
        let way = match kind {
            Kind::Full => Way::Full(Full::open(
                history.as_ref().map(History::lines).unwrap_or_default(),
                complete,
            )?),
            Kind::Dumb => Way::Dumb(TerminalPrompter::new(TerminalLock::default(), |_| {})),
        };
        Ok(Self { way, history })
    }

    /// Asks for a line. The future may be dropped: a later call goes on with what was typed until then.
    ///
    /// On a dumb terminal Ctrl-C is the system's signal, and no answer of this.
    pub async fn line(&mut self, prompt: &str) -> Typed {
        match &mut self.way {
            Way::Full(full) => full.line(prompt).await,
            Way::Dumb(person) => match person.ask(prompt, Echo::Shown).await {
                Some(line) => Typed::Line(line),
                None => {
                    // Ctrl-D leaves the cursor behind the prompt.
                    if let Ok(terminal) = open_terminal() {
                        let _ = rustix::io::write(terminal, b"\n");
                    }
                    Typed::End
                }
            },
        }
    }

    /// Puts a line into the history.
    ///
    /// # Errors
    /// When it could not be written; it is remembered for this time then.
    pub fn remember(&mut self, line: &str) -> io::Result<()> {
        if let Way::Full(full) = &self.way {
            // The thread is there until we go; if it is not, nobody looks back either.
            let _ = full.orders.send(Order::Remember(line.to_owned()));
        }
        match &self.history {
            Some(history) => history.append(line),
            None => Ok(()),
        }
    }
}

/// What the thread of the editor is told.
enum Order {
    Ask(String),
    Remember(String),
}

/// The editor's thread, seen from outside.
struct Full {
    orders: blocking::Sender<Order>,
    typed: mpsc::UnboundedReceiver<Typed>,
    terminal: OwnedFd,
    before: Termios,
    /// The thread was asked and has not answered.
    asked: bool,
}

impl Full {
    fn open(history: Vec<String>, complete: Box<dyn Complete>) -> io::Result<Self> {
        let terminal = open_terminal()?;
        let before = tcgetattr(&terminal)?;
        let config = Config::builder()
            .behavior(Behavior::PreferTerm)
            .completion_type(CompletionType::List)
            .history_ignore_space(true)
            .max_history_size(REMEMBERED)
            .map_err(to_io)?
            .build();
        let mut known = MemHistory::with_config(&config);
        for line in history {
            known.add_owned(line).map_err(to_io)?;
        }
        let mut editor = rustyline::Editor::with_history(config, known).map_err(to_io)?;
        editor.set_helper(Some(Words(complete)));
        let (orders, inbox) = blocking::channel();
        let (outbox, typed) = mpsc::unbounded_channel();
        std::thread::spawn(move || serve(&mut editor, &inbox, &outbox));
        Ok(Self {
            orders,
            typed,
            terminal,
            before,
            asked: false,
        })
    }

    async fn line(&mut self, prompt: &str) -> Typed {
        if !self.asked {
            self.asked = self.orders.send(Order::Ask(prompt.to_owned())).is_ok();
        }
        let typed = self.typed.recv().await;
        self.asked = false;
        // A thread that has died of a panic answers no more.
        typed.unwrap_or(Typed::End)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        // The thread sits in a read that nothing ends but a key or the end of the process.
        if self.asked {
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
            let _ = rustix::io::write(&self.terminal, LEAVE);
        }
    }
}

/// Ends the marking of pasted text, and the line.
const LEAVE: &[u8] = b"\x1b[?2004l\r\n";

fn serve(
    editor: &mut rustyline::Editor<Words, MemHistory>,
    orders: &blocking::Receiver<Order>,
    typed: &mpsc::UnboundedSender<Typed>,
) {
    for order in orders {
        match order {
            Order::Remember(line) => {
                let _ = editor.add_history_entry(line);
            }
            Order::Ask(prompt) => {
                let answer = match editor.readline(&prompt) {
                    Ok(line) => Typed::Line(line),
                    Err(ReadlineError::Interrupted) => Typed::Interrupt,
                    Err(_) => Typed::End,
                };
                if typed.send(answer).is_err() {
                    return;
                }
            }
        }
    }
}

fn to_io(error: ReadlineError) -> io::Error {
    io::Error::other(error)
}

/// Our completion as the line editor wants it.
struct Words(Box<dyn Complete>);

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.0.complete(line, pos))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}
