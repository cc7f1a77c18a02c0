//! The commands a node knows, and what little of a shell's grammar is between them. Nothing is ever run
//! on this machine: a line becomes steps, and a step is an answer, a wait, an echo or an end.

use std::time::Duration;

use crate::event::Stream;

/// What a node shows as its uptime: the same everywhere, so that answers gather.
const UPTIME: &str = " 09:41:07 up 42 days,  3:14,  0 users,  load average: 0.08, 0.03, 0.01\n";

/// The commands, told when another one is asked for.
const KNOWN: &str =
    "cat, echo, exit, false, hostname, kill, seq, sleep, trap, true, uname, uptime, whoami, yes";

/// What tells the script of `transport::ssh::open` from another one.
const LOOK: &str = "echo hash-socket-ready";

/// A line as steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script(Vec<Step>);

/// One command of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// When it is done.
    pub(super) after: After,
    /// What it does.
    pub(super) act: Act,
    /// Where its output goes: `None` is `/dev/null`.
    pub(super) output: Option<Stream>,
}

/// On what a step depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// On nothing: the first one, or behind `;`.
    Any,
    /// On a status of 0: behind `&&`.
    Success,
    /// On another status: behind `||`.
    Failure,
}

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Writes to its output and has this status.
    Print(String, u8),
    /// Writes to its standard error and has this status.
    Complain(String, u8),
    /// Ends the whole line.
    Exit(Option<u8>),
    /// Waits.
    Sleep(Duration),
    /// Writes its input to its output.
    Cat,
    /// Writes this line without end.
    Flood(String),
    /// Is killed by this signal.
    Die(String),
    /// Says in its status what is wrong with the socket at this path or host.
    Look(String),
    /// From here on ignores these signals.
    Ignore(Vec<String>),
}

impl Script {
    /// Reads a line as the node of that name understands it. What it does not understand becomes a
    /// complaint with status 127.
    pub(super) fn parse(line: &str, node: &str) -> Self {
        match split(line) {
            Ok(commands) => Self(
                commands
                    .into_iter()
                    .map(|command| Step {
                        act: act(&command.words, node),
                        after: command.after,
                        output: command.output,
                    })
                    .collect(),
            ),
            Err(what) => Self(vec![Step {
                after: After::Any,
                act: Act::Complain(
                    format!("lab: there is no shell on this node, and {what} needs one\n"),
                    127,
                ),
                output: Some(Stream::Out),
            }]),
        }
    }

    /// The answer to a request for a shell.
    pub(super) fn no_shell() -> Self {
        let message = "lab: there is no shell on this node; give a command, such as `uptime`\n";
        Self(vec![Step {
            after: After::Any,
            act: Act::Complain(message.to_owned(), 1),
            output: Some(Stream::Out),
        }])
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether any step reads its input.
    pub(super) fn reads(&self) -> bool {
        self.0.iter().any(|step| step.act == Act::Cat)
    }
}

/// What the words of one command do.
fn act(words: &[String], node: &str) -> Act {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((name, arguments)) = words.split_first() else {
        return Act::Print(String::new(), 0);
    };
    match (*name, arguments) {
        ("true" | ":", _) => Act::Print(String::new(), 0),
        ("false", _) => Act::Print(String::new(), 1),
        ("hostname", _) => Act::Print(format!("{node}\n"), 0),
        ("uptime", _) => Act::Print(UPTIME.to_owned(), 0),
        ("whoami", _) => Act::Print(format!("{}\n", super::USER), 0),
        ("uname", options) => Act::Print(uname(options, node), 0),
        ("echo", ["-n", text @ ..]) => Act::Print(text.join(" "), 0),
        ("echo", text) => Act::Print(text.join(" ") + "\n", 0),
        ("yes", []) => Act::Flood("y\n".to_owned()),
        ("yes", text) => Act::Flood(text.join(" ") + "\n"),
        ("cat", [] | ["-"]) => Act::Cat,
        ("cat", ["/etc/hostname"]) => Act::Print(format!("{node}\n"), 0),
        ("cat", [file, ..]) => {
            Act::Complain(format!("cat: {file}: No such file or directory\n"), 1)
        }
        ("exit", []) => Act::Exit(None),
        ("exit", [status]) => match status.parse::<u8>() {
            Ok(status) => Act::Exit(Some(status)),
            Err(_) => Act::Complain(format!("exit: Illegal number: {status}\n"), 2),
        },
        ("sleep", [time]) => match time.parse().ok().and_then(duration) {
            Some(time) => Act::Sleep(time),
            None => Act::Complain(format!("sleep: invalid time interval '{time}'\n"), 1),
        },
        // With this a client asks why the server would not forward to a socket; there is nothing here to
        // run it, and what it would find is known.
        ("exec", ["sh", "-c", script, "sh", socket, ..]) if script.contains(LOOK) => {
            Act::Look((*socket).to_owned())
        }
        ("seq", bounds) => seq(bounds),
        ("trap", ["", signals @ ..]) => {
            Act::Ignore(signals.iter().map(|name| signal(name)).collect())
        }
        ("kill", [name, "$$"]) if name.starts_with('-') => {
            Act::Die(signal(name.trim_start_matches('-')))
        }
        _ => Act::Complain(
            format!("lab: {name}: command not found; this node knows {KNOWN}\n"),
            127,
        ),
    }
}

/// A signal's name as SSH has it (RFC 4254, section 6.10).
fn signal(name: &str) -> String {
    name.trim_start_matches("SIG").to_owned()
}

fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

fn seq(bounds: &[&str]) -> Act {
    let numbers: Option<Vec<u32>> = bounds.iter().map(|bound| bound.parse().ok()).collect();
    let (first, last) = match numbers.as_deref() {
        Some([last]) => (1, *last),
        Some([first, last]) => (*first, *last),
        _ => return Act::Complain("seq: give one or two numbers\n".to_owned(), 1),
    };
    if last.saturating_sub(first) >= 1_000_000 {
        return Act::Complain(
            "seq: at most a million numbers here; see `yes`\n".to_owned(),
            1,
        );
    }
    let lines = (first..=last).map(|number| format!("{number}\n")).collect();
    Act::Print(lines, 0)
}

fn uname(options: &[&str], node: &str) -> String {
    let all = [
        ('s', "Linux"),
        ('n', node),
        ('r', "6.1.0-lab"),
        ('v', "#1 SMP hash lab"),
        ('m', "x86_64"),
        ('o', "GNU/Linux"),
    ];
    let asked: String = options.concat();
    let wanted = |letter: char| {
        asked.contains('a') || asked.contains(letter) || (asked.is_empty() && letter == 's')
    };
    let parts: Vec<&str> = all
        .iter()
        .filter(|(letter, _)| wanted(*letter))
        .map(|(_, part)| *part)
        .collect();
    parts.join(" ") + "\n"
}

/// One command before its words are looked at.
struct Words {
    after: After,
    words: Vec<String>,
    output: Option<Stream>,
}

/// Splits a line as a POSIX shell would (POSIX.1-2017, Shell Command Language, 2.2 and 2.9), as far as
/// quotes, `;`, `&&`, `||`, `>&2` and `>/dev/null` go; whatever else a shell would act on is an error.
fn split(line: &str) -> Result<Vec<Words>, String> {
    let mut commands = Vec::new();
    let mut after = After::Any;
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut output = Some(Stream::Out);
    let mut rest = line;
    let mut close = |next: After, words: &mut Vec<String>, output: &mut Option<Stream>| {
        let done = Words {
            after: std::mem::replace(&mut after, next),
            words: std::mem::take(words),
            output: output.replace(Stream::Out),
        };
        if !done.words.is_empty() {
            commands.push(done);
        }
    };
    while let Some(first) = rest.chars().next() {
        let begun = word.is_some();
        let after_first = &rest[first.len_utf8()..];
        if !begun && let Some((to, length)) = redirection(rest) {
            output = to;
            rest = &rest[length..];
            continue;
        }
        let operator = [
            ("&&", After::Success),
            ("||", After::Failure),
            (";", After::Any),
            ("\n", After::Any),
        ]
        .into_iter()
        .find(|(text, _)| rest.starts_with(text));
        if let Some((text, next)) = operator {
            words.extend(word.take());
            close(next, &mut words, &mut output);
            rest = &rest[text.len()..];
            continue;
        }
        rest = match first {
            ' ' | '\t' => {
                words.extend(word.take());
                after_first
            }
            '\'' => {
                let (inside, behind) = after_first.split_once('\'').ok_or("an open quote")?;
                word.get_or_insert_default().push_str(inside);
                behind
            }
            '"' => double_quoted(after_first, word.get_or_insert_default())?,
            '\\' => {
                let next = after_first.chars().next().ok_or("a trailing backslash")?;
                word.get_or_insert_default().push(next);
                &after_first[next.len_utf8()..]
            }
            '$' if rest.starts_with("$$") => {
                word.get_or_insert_default().push_str("$$");
                &rest[2..]
            }
            '#' if !begun => "",
            '|' | '&' | '<' | '>' | '(' | ')' | '$' | '`' => return Err(format!("`{first}`")),
            _ => {
                word.get_or_insert_default().push(first);
                after_first
            }
        };
    }
    words.extend(word.take());
    close(After::Any, &mut words, &mut output);
    Ok(commands)
}

/// The redirection that the text begins with, and its length.
fn redirection(text: &str) -> Option<(Option<Stream>, usize)> {
    [
        ("1>&2", Some(Stream::Err)),
        (">&2", Some(Stream::Err)),
        (">/dev/null", None),
        ("> /dev/null", None),
    ]
    .into_iter()
    .find(|(prefix, _)| text.starts_with(prefix))
    .map(|(prefix, to)| (to, prefix.len()))
}

/// Reads the inside of double quotes into the word and returns what is behind them.
fn double_quoted<'a>(text: &'a str, word: &mut String) -> Result<&'a str, String> {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok(&text[at + 1..]),
            '\\' => match characters.next() {
                Some((_, next @ ('"' | '\\' | '$' | '`'))) => word.push(next),
                Some((_, next)) => word.extend(['\\', next]),
                None => break,
            },
            '$' | '`' => return Err(format!("`{character}`")),
            _ => word.push(character),
        }
    }
    Err("an open quote".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(line: &str) -> Vec<Act> {
        let script = Script::parse(line, "lb1");
        script.steps().iter().map(|step| step.act.clone()).collect()
    }

    fn print(text: &str) -> Act {
        Act::Print(text.to_owned(), 0)
    }

    #[test]
    fn words_arrive_as_they_were_quoted() {
        let line = r#"echo 'it'\''s' "a \"b\" \\ c" d\ e '' "#;
        assert_eq!(acts(line), [print("it's a \"b\" \\ c d e \n")]);
        assert_eq!(acts("echo 'a' 'b  c'"), [print("a b  c\n")]);
        assert_eq!(acts("   # nothing"), []);
    }

    #[test]
    fn commands_follow_one_another() {
        let script = Script::parse("false && echo no || echo yes >&2; exit 3", "lb1");
        let after: Vec<_> = script
            .steps()
            .iter()
            .map(|step| (step.after, step.output))
            .collect();
        let out = Some(Stream::Out);
        assert_eq!(
            after,
            [
                (After::Any, out),
                (After::Success, out),
                (After::Failure, Some(Stream::Err)),
                (After::Any, out),
            ]
        );
    }

    #[test]
    fn nodes_answer_for_themselves() {
        assert_eq!(acts("hostname"), [print("lb1\n")]);
        assert_eq!(acts("uname"), [print("Linux\n")]);
        assert_eq!(acts("uname -nr"), [print("lb1 6.1.0-lab\n")]);
        assert_eq!(acts("seq 2 4"), [print("2\n3\n4\n")]);
        assert_eq!(acts("kill -TERM $$"), [Act::Die("TERM".to_owned())]);
        assert_eq!(acts("sleep 0.5"), [Act::Sleep(Duration::from_millis(500))]);
        let trap = Act::Ignore(vec!["INT".to_owned(), "TERM".to_owned()]);
        assert_eq!(acts("trap '' SIGINT TERM"), [trap]);
        assert!(Script::parse("true; cat", "lb1").reads());
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (line, word) in [
            ("frobnicate", "frobnicate"),
            ("echo $HOME", "`$`"),
            ("yes | head", "`|`"),
            ("echo \"`id`\"", "```"),
            ("echo 'open", "open quote"),
            ("sleep 1 &", "`&`"),
        ] {
            let acts = acts(line);
            let [Act::Complain(message, 127)] = acts.as_slice() else {
                panic!("{line}: {acts:?}");
            };
            assert!(message.contains(word), "{line}: {message}");
        }
        let too_long = acts("sleep 1e300");
        assert!(matches!(too_long.as_slice(), [Act::Complain(_, 1)]));
    }
}
