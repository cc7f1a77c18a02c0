//! A line for the socket as an operator typed it: whether it may be sent, and whether HAProxy refused it.

/// A line for the socket as an operator typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCommand(String);

/// Why a typed line is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RawError {
    /// HAProxy would answer with its help.
    #[error("the command is empty")]
    Empty,
    /// A second line would be a second command.
    #[error("the command has a line break or another control character")]
    Control,
    /// HAProxy would take what follows for the rest of the command.
    #[error("the command ends in `<<`, which announces a payload, and there is none to send")]
    Payload,
    /// It would turn one answer into an endless conversation.
    #[error("`{0}` is for interactive use")]
    Interactive(String),
    /// It would print a private key.
    #[error("`dump ssl cert` prints the private key in clear")]
    Secret,
    /// HAProxy dies of it when the connection ends before the answer.
    #[error(
        "when the connection of `commit ssl` ends before its answer, HAProxy dies at the next question about it, its master included"
    )]
    Commit,
    /// A payload belongs to one command of a worker.
    #[error("a payload goes with one command only, without `;`, `@` and `<<`")]
    NotOne,
    /// HAProxy's own buffer has an end.
    #[error("the command is longer than {LONGEST_LINE} bytes")]
    TooLong,
}

/// Longest line we send, well under HAProxy's buffer (`tune.bufsize`, 16 kB).
const LONGEST_LINE: usize = 8_000;

/// Commands that only look. Everything else is taken for a change.
const LOOKING: &[&str] = &["show", "get", "help", "echo", "user", "operator", "quit"];

impl RawCommand {
    /// Checks a typed line.
    ///
    /// # Errors
    /// When sending it could do something else than it seems to say.
    pub fn parse(text: &str) -> Result<Self, RawError> {
        let text = text.trim_matches([' ', '\t']);
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(RawError::Control);
        }
        if text.len() > LONGEST_LINE {
            return Err(RawError::TooLong);
        }
        // Newer versions also take `<<END`, with a mark of their own for the end of the payload.
        let last = text.rsplit([' ', '\t']).next().unwrap_or_default();
        if last.starts_with("<<") || last.ends_with("<<") {
            return Err(RawError::Payload);
        }
        let raw = Self(text.to_owned());
        if raw.first_words().next().is_none() {
            return Err(RawError::Empty);
        }
        if let Some(word) = raw.first_words().find(|word| *word == "prompt") {
            return Err(RawError::Interactive(word.to_owned()));
        }
        for command in raw.commands() {
            let words: Vec<&str> = command.split_ascii_whitespace().take(2).collect();
            match words[..] {
                ["dump", "ssl"] => return Err(RawError::Secret),
                ["commit", "ssl"] => return Err(RawError::Commit),
                _ => {}
            }
        }
        Ok(raw)
    }

    /// Checks a typed line that a payload is to follow.
    ///
    /// # Errors
    /// As [`RawCommand::parse`], and when it is not one command of a worker.
    pub fn before_payload(text: &str) -> Result<Self, RawError> {
        let raw = Self::parse(text)?;
        let is_one = !raw.0.contains([';', '@']) && !raw.0.contains("<<");
        is_one.then_some(raw).ok_or(RawError::NotOne)
    }

    /// Whether any of its commands may change something.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.first_words().any(|word| !LOOKING.contains(&word))
    }

    /// The line as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it may be for the master's socket, which does not close after its answer. Some commands are known to
    /// master and workers alike.
    #[must_use]
    pub fn is_for_master(&self) -> bool {
        let words: Vec<&str> = self.0.split_ascii_whitespace().take(2).collect();
        self.0.starts_with('@')
            || matches!(
                words[..],
                ["reload" | "help", ..] | ["show", "proc" | "version" | "startup-logs" | "cli"]
            )
    }

    /// What HAProxy refused, in its own words; `None` when it did not. Answers have no status: what only sets something
    /// is accepted with one empty line and nothing else, other changes say so in a sentence, and a refused question
    /// begins with one of HAProxy's own complaints.
    #[must_use]
    pub fn refusal(&self, answer: &str) -> Option<String> {
        let complaint = answer.lines().find(|line| is_complaint(line));
        let complaint = complaint.or_else(|| {
            let commands: Vec<&str> = self.commands().collect();
            let says = |line: &&str| !line.trim().is_empty();
            let said = answer.lines().find(says)?;
            (commands.iter().all(|command| is_silent(command))
                || commands.iter().all(|command| tells(command)) && !is_consent(answer))
            .then_some(said)
        });
        complaint
            .map(|line| line.trim().to_owned())
            .or_else(|| self.blank(answer))
    }

    /// What is odd about an answer that is nothing but blank: each command that only sets something says one empty line.
    fn blank(&self, answer: &str) -> Option<String> {
        let count = self.commands().count();
        let only_sets = self.commands().all(is_silent);
        (only_sets && answer != "\n".repeat(count)).then(|| {
            let lines = answer.matches('\n').count();
            format!("{lines} empty lines to {count} commands, where each is to say one")
        })
    }

    /// The commands of the line, without the worker that they are for.
    fn commands(&self) -> impl Iterator<Item = &str> {
        let whole = self.0.split(';').map(str::trim);
        whole
            .map(|command| match command.strip_prefix('@') {
                Some(worker) => worker.split_once([' ', '\t']).map_or("", |(_, rest)| rest),
                None => command,
            })
            .filter(|command| !command.is_empty())
    }

    /// The keyword of each command of the line. HAProxy parts commands at `;` unless a backslash stands
    /// before it; parting at those as well can only make us more careful. `@1` and the like choose a
    /// worker at the master's socket.
    fn first_words(&self) -> impl Iterator<Item = &str> {
        self.0.split(';').filter_map(|command| {
            command
                .split_ascii_whitespace()
                .find(|word| !word.starts_with('@'))
        })
    }
}

/// How HAProxy's complaints begin, whatever the command was; seen with 2.6 to 3.5.
const COMPLAINTS: &[&str] = &[
    "Permission denied",
    "Unknown command",
    "Can't find ",
    "No such ",
    "Require ",
    "usage: ",
    "Missing ",
    "Invalid ",
    "invalid ",
    "Unsupported option",
    "Unknown map identifier",
    "Unknown ACL identifier",
    "Unknown stick-table",
    "Variable not found",
    "Session not found",
    "Session pointer expected",
    "Can't allocate memory!",
    "Too many arguments",
    "The command line is too big",
];

fn is_complaint(line: &str) -> bool {
    COMPLAINTS.iter().any(|start| line.starts_with(start))
}

/// Whether a command answers with an empty line and nothing else when it is done.
fn is_silent(command: &str) -> bool {
    let words: Vec<&str> = command.split_ascii_whitespace().collect();
    match words[..] {
        ["set", "server", _, what, ..] => !matches!(what, "addr" | "fqdn" | "ssl" | "name"),
        ["set", what, ..] => matches!(what, "weight" | "maxconn" | "rate-limit" | "map" | "table"),
        ["enable" | "disable" | "shutdown" | "clear", ..] => true,
        ["add" | "del", "map" | "acl", ..] => true,
        _ => false,
    }
}

/// Whether a command answers with a sentence, done or not.
fn tells(command: &str) -> bool {
    let words: Vec<&str> = command.split_ascii_whitespace().collect();
    match words[..] {
        ["set", "server", _, what, ..] => matches!(what, "addr" | "fqdn" | "ssl" | "name"),
        [
            "set" | "new" | "commit" | "abort" | "del" | "add",
            "ssl",
            ..,
        ] => true,
        ["add" | "del", "server" | "backend", ..] => true,
        ["publish" | "unpublish" | "wait", ..] | ["prepare", ..] => true,
        _ => false,
    }
}

/// What is in such a sentence when it is done.
const CONSENT: &[&str] = &[
    "changed from",
    "changed its FQDN",
    "no need to change",
    "nothing changed",
    "updated",
    "registered.",
    "Server deleted.",
    "Backend deleted.",
    "deleted!",
    "added.",
    "inserted",
    "Success!",
    "ransaction created",
    "ransaction updated",
    "ransaction aborted",
    "New empty ",
    "New version created",
    "ublished.",
    "Done.",
];

fn is_consent(answer: &str) -> bool {
    CONSENT.iter().any(|words| answer.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_knows_changes() {
        for (text, changes) in [
            ("show info", false),
            ("show info; show stat", false),
            ("  show\tinfo ;", false),
            ("@1 show info", false),
            ("get weight a/b", false),
            ("show info;set server a/b state maint", true),
            ("clear counters", true),
            ("@1 shutdown sessions server a/b", true),
            ("show env;# x", true),
            ("Show info", true),
        ] {
            assert_eq!(
                RawCommand::parse(text).unwrap().changes(),
                changes,
                "{text}"
            );
        }
    }

    #[test]
    fn raw_knows_the_master() {
        for (text, master) in [
            ("show proc", true),
            ("@1 show info", true),
            ("@!77 show sess", true),
            ("reload", true),
            ("show version", true),
            ("show info", false),
            ("show processes", false),
        ] {
            assert_eq!(
                RawCommand::parse(text).unwrap().is_for_master(),
                master,
                "{text}"
            );
        }
    }

    #[test]
    fn raw_refuses_what_is_not_one_line() {
        assert_eq!(RawCommand::parse(" ;; "), Err(RawError::Empty));
        assert_eq!(RawCommand::parse("show info\nx"), Err(RawError::Control));
        assert_eq!(RawCommand::parse("show info\r"), Err(RawError::Control));
        for text in ["add map #1 <<", "add map #1 << ", "add map #1 <<END", "x<<"] {
            assert_eq!(RawCommand::parse(text), Err(RawError::Payload), "{text}");
        }
        assert_eq!(
            RawCommand::parse("show info; prompt"),
            Err(RawError::Interactive("prompt".to_owned()))
        );
        assert_eq!(
            RawCommand::parse(&"x".repeat(9_000)),
            Err(RawError::TooLong)
        );
    }

    #[test]
    fn raw_refuses_what_shows_a_key_or_may_kill() {
        for text in ["dump ssl cert /x.pem", "show info; dump\tssl cert /x.pem"] {
            assert_eq!(RawCommand::parse(text), Err(RawError::Secret), "{text}");
        }
        for text in ["commit ssl cert /x.pem", "@1 commit ssl ca-file x"] {
            assert_eq!(RawCommand::parse(text), Err(RawError::Commit), "{text}");
        }
        for text in ["add map m;show info", "@1 add map m"] {
            let refused = RawCommand::before_payload(text);
            assert_eq!(refused, Err(RawError::NotOne), "{text}");
        }
        assert!(RawCommand::before_payload("add map /etc/x.map").is_ok());
    }

    /// What HAProxy said to each, with 2.6 to 3.5.
    #[test]
    fn refusals_are_known() {
        for (command, answer) in [
            ("set server nosuch/x state maint", "No such backend.\n\n"),
            ("set server a/x state maint", "No such server.\n\n"),
            (
                "set server a/b state sleep",
                "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n\n",
            ),
            (
                "set server a/b weight x",
                "Require <weight> or <weight%>.\n\n",
            ),
            (
                "set server a/b weight",
                "Empty weight string empty or preceded by garbage\n",
            ),
            (
                "set server a/b weight 50",
                "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n\n",
            ),
            (
                "set server a/b addr x",
                "Invalid addr 'x' by 'stats socket command'\n\n",
            ),
            (
                "set server a/b addr",
                "set server <b>/<s> addr requires an address and optionally a port.\n\n",
            ),
            (
                "set maxconn server a/b x",
                "maxconn string empty or preceded by garbage\n",
            ),
            ("enable frontend f", "All sockets are already enabled.\n\n"),
            (
                "enable health a/b",
                "Health check was not configured on this server, cannot enable.\n\n",
            ),
            (
                "add server a/b 127.0.0.1:1",
                "Already exists a server with the same name in backend.\n\n",
            ),
            (
                "del server a/b",
                "Only servers in maintenance mode can be deleted.\n",
            ),
            (
                "shutdown session 0x1",
                "No such session (use 'show sess').\n\n",
            ),
            ("show servers state nosuch", "Can't find backend.\n\n"),
            ("show stat nosuch 4 -1", "No such proxy.\n\n"),
            ("show env NOSUCH", "Variable not found\n\n"),
            (
                "@!99 show info",
                "Can't find the target PID matching the prefix '@!99'\n",
            ),
            ("get weight a/b", "No such server.\n\n"),
            (
                "show info;set server nosuch/x state maint",
                "Name: HAProxy\n\nNo such backend.\n\n",
            ),
            ("clear counters all", "Permission denied\n\n"),
            ("wait 1s srv-removable a/b", "Interrupted.\n\n"),
            ("set server a/b state maint", "\n\n"),
            ("set server a/b state maint;set server a/c weight 3", "\n"),
            ("abort ssl cert x", "Can't abort x!\n\n"),
        ] {
            let raw = RawCommand::parse(command).unwrap();
            let said = raw.refusal(answer);
            assert!(said.is_some(), "{command}: {answer}");
        }
        let raw = RawCommand::parse("set server nosuch/x state maint").unwrap();
        assert_eq!(
            raw.refusal("No such backend.\n\n").unwrap(),
            "No such backend."
        );
    }

    #[test]
    fn what_is_done_is_no_refusal() {
        for (command, answer) in [
            ("set server a/b state maint", "\n"),
            ("set server a/b state maint;set server a/c weight 3", "\n\n"),
            ("user;show info", "\nName: HAProxy\n\n"),
            (
                "set server a/b addr 127.0.0.2",
                "IP changed from '127.0.0.1' to '127.0.0.2' by 'stats socket command'\n\n",
            ),
            (
                "set server a/b addr 127.0.0.2",
                "no need to change the addr by 'stats socket command'\n\n",
            ),
            ("add server a/b 127.0.0.1:1", "New server registered.\n\n"),
            ("del server a/b", "Server deleted.\n"),
            ("prepare map m", "New version created: 1\n\n"),
            (
                "set ssl cert x",
                "Transaction created for certificate x!\n\n",
            ),
            ("show servers state", "1\n# be_id\n\n"),
            ("show errors", "Total events captured on [date] : 0\n\n"),
            (
                "show map",
                "# id (file) description\n0 (/etc/No such map) x\n\n",
            ),
            ("@1 show info", "Name: HAProxy\n\n"),
            ("reload", ""),
            (
                "help",
                "The following commands are valid at this level:\n  help\n\n",
            ),
        ] {
            let raw = RawCommand::parse(command).unwrap();
            assert_eq!(raw.refusal(answer), None, "{command}: {answer}");
        }
    }
}
