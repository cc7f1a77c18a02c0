//! A script of ours run on a node: it travels over standard input into a private temporary file, runs there as its first
//! line says, and is removed whatever becomes of it. Neither it nor its input is ever in an argument list.

use bytes::Bytes;

use crate::transport::{Command, Input};

/// What the shell on the node does. `$1` reads the script from standard input, `$2` runs the file `$f`; the rest are the
/// script's own arguments. It is one line without `%` and `!`: csh breaks quotes at newlines, and both mean something
/// to who may read it on the way.
///
/// A trap runs when the script has ended: it gets the signal as well, being of the same process group.
const WRAPPER: &str = concat!(
    "umask 077; read=$1; run=$2; shift 2; ",
    r#"f=$(mktemp "${TMPDIR:-/tmp}/hash.XXXXXXXXXX") || exit 125; "#,
    r#"trap "rm -f -- \"\$f\"" EXIT; "#,
    r#"trap "exit 129" HUP; trap "exit 130" INT; trap "exit 143" TERM; "#,
    r#"eval "$read" >"$f" && chmod 700 "$f" || exit 125; "#,
    r#"eval "$run"; exit $?"#,
);

/// A script and what it is to read.
#[derive(Debug, Clone)]
pub struct Script {
    bytes: Bytes,
    /// The script itself and its input behind it; one value for all nodes.
    sent: Input,
    has_input: bool,
}

impl Script {
    /// A script with these bytes, and with an input of its own if there is one.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>, stdin: Option<Input>) -> Self {
        let bytes = bytes.into();
        let has_input = stdin.is_some();
        let sent = Input::joined(bytes.clone(), stdin);
        Self {
            bytes,
            sent,
            has_input,
        }
    }

    /// The command that runs it with arguments that are quoted already.
    #[must_use]
    pub fn command(&self, arguments: &str) -> Command {
        // Byte by byte where more follows: whatever reads in larger pieces takes some of what follows with it.
        let (read, end) = if self.has_input {
            let count = self.bytes.len();
            (format!("dd ibs=1 obs=65536 count={count} 2>/dev/null"), "")
        } else {
            ("cat".to_owned(), " </dev/null")
        };
        let run = format!(r#"{} "$f" "$@"{end}"#, self.interpreter());
        let words = [WRAPPER, "hash", &read, run.trim_start()];
        let words = words.map(quote).join(" ");
        let gap = if arguments.is_empty() { "" } else { " " };
        Command {
            line: format!("exec /bin/sh -c {words}{gap}{arguments}"),
            stdin: Some(self.sent.clone()),
            pty: false,
        }
    }

    /// What is to run the file, as the system reads it off the first line: a program and at most one argument. Called by
    /// name, it also serves where nothing in the folder for temporary files may be executed.
    fn interpreter(&self) -> String {
        if let Some(rest) = self.bytes.strip_prefix(b"#!") {
            let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            let line = line.trim();
            let (program, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let words = [program, argument.trim()];
            let words = words.into_iter().filter(|word| !word.is_empty());
            return words.map(quote).collect::<Vec<_>>().join(" ");
        }
        let is_program = self.bytes.starts_with(b"\x7fELF");
        if is_program { "" } else { "/bin/sh" }.to_owned()
    }
}

/// A word as a POSIX shell reads it back.
pub(super) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpreter(text: &str) -> String {
        Script::new(text.to_owned(), None).interpreter()
    }

    #[test]
    fn the_first_line_is_read_as_the_system_does() {
        assert_eq!(interpreter("#!/bin/sh\nx"), "'/bin/sh'");
        assert_eq!(
            interpreter("#! /usr/bin/env  python3 -u \n"),
            "'/usr/bin/env' 'python3 -u'"
        );
        assert_eq!(interpreter("#!/bin/sh -e"), "'/bin/sh' '-e'");
        assert_eq!(interpreter("echo hi"), "/bin/sh");
        assert_eq!(interpreter("#!/bin/it's"), r"'/bin/it'\''s'");
        assert_eq!(interpreter("\x7fELF..."), "");
    }

    #[test]
    fn the_script_is_not_in_the_line() {
        let script = Script::new("#!/bin/sh\nsecret\n", None);
        let command = script.command("'a b'");
        assert!(!command.line.contains("secret"));
        assert!(command.line.ends_with(" 'a b'"));
        assert!(!command.line.contains(['\n', '%', '!']), "{}", command.line);
    }
}
