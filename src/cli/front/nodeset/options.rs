//! The command line of `nodeset`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::Chars;

use crate::cli::getopt::{self, Found, Opt, Parser};
use crate::nodeset::{Autostep, Axes, RangeSet};

use super::Failure;

/// What is to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Count,
    Expand,
    Fold,
    Regroup,
    List,
    ListAll,
    Index(String),
    GroupSources,
    Completion,
}

/// An operation with an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Exclude,
    Intersection,
    Xor,
}

/// From how many members on a step is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Steps {
    Count(i64),
    Percent(f64),
    Auto,
}

impl Steps {
    /// The threshold for a set of this size.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn of(self, size: u128) -> Result<Autostep, Failure> {
        let least = match self {
            Self::Count(count) => u128::try_from(count).unwrap_or(0),
            Self::Percent(percent) if !percent.is_finite() => {
                return Err(Failure::Plain("--autostep: that is no percentage".into()));
            }
            Self::Percent(percent) => (size as f64 * percent / 100.0).ceil().max(0.0) as u128,
            Self::Auto => size.max(3),
        };
        Ok(Autostep::From(least))
    }
}

/// What was typed.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) commands: Vec<Command>,
    /// How often `-l` or `-L` was given.
    pub(super) detail: usize,
    pub(super) operations: Vec<(Operation, String)>,
    pub(super) source: Option<String>,
    pub(super) groupsconf: Option<PathBuf>,
    pub(super) all: bool,
    pub(super) steps: Option<Steps>,
    pub(super) quiet: bool,
    pub(super) ranges: bool,
    pub(super) bare_groups: bool,
    pub(super) separator: Option<String>,
    pub(super) format: Option<String>,
    pub(super) slice: Option<String>,
    pub(super) split: Option<i64>,
    pub(super) contiguous: bool,
    pub(super) axis: Option<String>,
    pub(super) pick: Option<i64>,
    pub(super) words: Vec<String>,
}

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum Parsed {
    Help,
    Version,
    Run(Box<Options>, Command),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    Help,
    Version,
    Count,
    Expand,
    Fold,
    Regroup,
    List,
    ListAll,
    Index,
    GroupSources,
    Completion,
    Operation(Operation),
    Source,
    GroupsConf,
    All,
    Autostep,
    Debug,
    Quiet,
    Ranges,
    GroupBase,
    Separator,
    Format,
    Slice,
    Split,
    Contiguous,
    Axis,
    Pick,
}

const OPTIONS: &[Opt<Id>] = &[
    Opt::flag(Id::Help, &["-h", "--help"]),
    Opt::flag(Id::Version, &["--version"]),
    Opt::flag(Id::Count, &["-c", "--count"]),
    Opt::flag(Id::Expand, &["-e", "--expand"]),
    Opt::flag(Id::Fold, &["-f", "--fold"]),
    Opt::flag(Id::Regroup, &["-r", "--regroup"]),
    Opt::flag(Id::List, &["-l", "--list"]),
    Opt::flag(Id::ListAll, &["-L", "--list-all"]),
    Opt::value(Id::Index, &["--index"]),
    Opt::flag(Id::GroupSources, &["--groupsources", "--list-sources"]),
    Opt::flag(Id::Completion, &["--completion"]),
    Opt::value(Id::Operation(Operation::Exclude), &["-x", "--exclude"]),
    Opt::value(
        Id::Operation(Operation::Intersection),
        &["-i", "--intersection"],
    ),
    Opt::value(Id::Operation(Operation::Xor), &["-X", "--xor"]),
    Opt::value(Id::Source, &["-s", "--groupsource"]),
    Opt::value(Id::GroupsConf, &["--groupsconf"]),
    Opt::flag(Id::All, &["-a", "--all"]),
    Opt::value(Id::Autostep, &["--autostep"]),
    Opt::flag(Id::Debug, &["-d", "--debug"]),
    Opt::flag(Id::Quiet, &["-q", "--quiet"]),
    Opt::flag(Id::Ranges, &["-R", "--rangeset"]),
    Opt::flag(Id::GroupBase, &["-G", "--groupbase"]),
    Opt::value(Id::Separator, &["-S", "--separator"]),
    Opt::value(Id::Format, &["-O", "--output-format"]),
    Opt::value(Id::Slice, &["-I", "--slice"]),
    Opt::value(Id::Split, &["--split"]),
    Opt::flag(Id::Contiguous, &["--contiguous"]),
    Opt::value(Id::Axis, &["--axis"]),
    Opt::value(Id::Pick, &["--pick"]),
];

/// The operation that a word on its own asks for.
pub(super) fn operation(word: &str) -> Option<Operation> {
    let option = OPTIONS.iter().find(|option| option.names.contains(&word))?;
    if let Id::Operation(operation) = option.id {
        return Some(operation);
    }
    None
}

/// Reads the words behind the program's name.
///
/// # Errors
/// The usage error's text.
pub(super) fn read(words: &[OsString]) -> Result<Parsed, String> {
    let mut options = Options::default();
    let mut parser = Parser::new(OPTIONS, words);
    while let Some(found) = parser.next_option()? {
        if found.id == Id::Help {
            return Ok(Parsed::Help);
        }
        if found.id == Id::Version {
            return Ok(Parsed::Version);
        }
        options.take(&found)?;
    }
    options.words = parser
        .rest()
        .iter()
        .map(|word| getopt::text(word))
        .collect();
    let command = options.check()?;
    Ok(Parsed::Run(Box::new(options), command))
}

impl Options {
    fn take(&mut self, found: &Found<Id>) -> Result<(), String> {
        let text = || Some(found.text());
        match found.id {
            Id::Count => self.command(Command::Count),
            Id::Expand => self.command(Command::Expand),
            Id::Fold => self.command(Command::Fold),
            Id::Regroup => self.command(Command::Regroup),
            Id::List => self.list(Command::List),
            Id::ListAll => self.list(Command::ListAll),
            Id::Index => self.command(Command::Index(found.text())),
            Id::GroupSources => self.command(Command::GroupSources),
            Id::Completion => self.command(Command::Completion),
            Id::Operation(operation) => self.operations.push((operation, found.text())),
            Id::Source => self.source = text(),
            Id::GroupsConf => self.groupsconf = Some(found.value.clone().into()),
            Id::All => self.all = true,
            Id::Autostep => self.steps = Some(steps(&found.text())?),
            Id::Quiet => self.quiet = true,
            Id::Ranges => self.ranges = true,
            Id::GroupBase => self.bare_groups = true,
            Id::Separator => self.separator = text(),
            Id::Format => self.format = text(),
            Id::Slice => self.slice = text().filter(|text| !text.is_empty()),
            Id::Split => self.split = Some(found.integer()?),
            Id::Contiguous => self.contiguous = true,
            Id::Axis => self.axis = text(),
            Id::Pick => self.pick = Some(found.integer()?),
            Id::Help | Id::Version | Id::Debug => {}
        }
        Ok(())
    }

    fn command(&mut self, command: Command) {
        // Of several --index the last one counts.
        let is_same = |known: &Command| match (known, &command) {
            (Command::Index(_), Command::Index(_)) => true,
            (known, command) => known == command,
        };
        self.commands.retain(|known| !is_same(known));
        self.commands.push(command);
    }

    fn list(&mut self, command: Command) {
        self.detail += 1;
        self.command(command);
    }

    /// Whether the options go together.
    fn check(&self) -> Result<Command, String> {
        let [command] = self.commands.as_slice() else {
            return Err(match self.commands.len() {
                0 => "No command specified.".into(),
                _ => "Multiple commands not allowed.".into(),
            });
        };
        if self.ranges && (self.all || *command == Command::Regroup) {
            return Err("-a/-r only supported in NodeSet mode".into());
        }
        if self.axis.is_some() && (self.ranges || *command != Command::Fold) {
            return Err("--axis option is only supported when folding nodeset".into());
        }
        if self.pick.is_some() && matches!(command, Command::Index(_)) {
            return Err("--index cannot be combined with --pick".into());
        }
        if self.contiguous && self.split.is_some() {
            return Err("incompatible splitting options (split, contiguous)".into());
        }
        Ok(command.clone())
    }
}

fn steps(text: &str) -> Result<Steps, String> {
    let value = match text.strip_suffix('%') {
        _ if text == "auto" => Some(Steps::Auto),
        Some(percent) => percent.trim().parse().ok().map(Steps::Percent),
        None => text.trim().parse().ok().map(Steps::Count),
    };
    value.ok_or_else(|| {
        format!("option --autostep: invalid value: '{text}', should be node count, node percentage or 'auto'")
    })
}

/// The axes that `--axis` names, counted from 1, or one from the end if negative.
pub(super) fn axes(text: &str) -> Result<Axes, Failure> {
    if text.is_empty() {
        return Ok(Axes::All);
    }
    if let Some(digits) = text.strip_prefix('-') {
        let number = digits.parse().map_err(|_| {
            Failure::Plain(format!("invalid literal for int() with base 10: '{text}'"))
        })?;
        return Ok(Axes::FromEnd(number));
    }
    let ranges = RangeSet::parse(text).map_err(Failure::range)?;
    // Names have fewer indexes than that.
    let numbers = ranges.numbers().take(1000);
    let axes = numbers.filter_map(|axis| usize::try_from(axis).ok()?.checked_sub(1));
    Ok(Axes::These(axes.collect()))
}

/// A separator, in which escapes of a Python text are read.
pub(super) fn separator(text: &str) -> Result<String, Failure> {
    unescaped(text).ok_or_else(|| Failure::Plain("invalid separator".into()))
}

/// What Python makes of the text between three single quotes: a text, and what follows it if it ends there.
fn unescaped(text: &str) -> Option<String> {
    let source = format!("'''{text}'''");
    let mut out = String::new();
    let mut rest = source.as_str();
    while !rest.is_empty() {
        let quote = ["'''", "\"\"\"", "'", "\""]
            .into_iter()
            .find(|quote| rest.starts_with(quote))?;
        rest = literal(&rest[quote.len()..], quote, &mut out)?
            .trim_start_matches([' ', '\t', '\u{c}']);
    }
    Some(out)
}

/// Appends one text of Python's, up to its closing quote, and gives what stands behind that.
fn literal<'a>(text: &'a str, quote: &str, out: &mut String) -> Option<&'a str> {
    let mut rest = text;
    loop {
        if let Some(behind) = rest.strip_prefix(quote) {
            return Some(behind);
        }
        let mut chars = rest.chars();
        match chars.next()? {
            '\\' => out.extend(escaped(&mut chars)?),
            '\n' if quote.len() == 1 => return None,
            char => out.push(char),
        }
        rest = chars.as_str();
    }
}

/// What a backslash and the characters behind it stand for.
fn escaped(rest: &mut Chars<'_>) -> Option<Vec<char>> {
    Some(vec![match rest.next()? {
        '\n' => return Some(Vec::new()),
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        same @ ('\\' | '\'' | '"') => same,
        'x' => hexadecimal(rest, 2)?,
        'u' => hexadecimal(rest, 4)?,
        'U' => hexadecimal(rest, 8)?,
        'N' => return None,
        first @ '0'..='7' => {
            let mut value = first.to_digit(8)?;
            for _ in 0..2 {
                let Some(digit) = rest.clone().next().and_then(|char| char.to_digit(8)) else {
                    break;
                };
                value = value * 8 + digit;
                rest.next();
            }
            char::from_u32(value)?
        }
        other => return Some(vec!['\\', other]),
    }])
}

/// The character of which so many hexadecimal digits follow.
fn hexadecimal(rest: &mut impl Iterator<Item = char>, digits: usize) -> Option<char> {
    let mut value = 0u32;
    for _ in 0..digits {
        value = value << 4 | rest.next()?.to_digit(16)?;
    }
    char::from_u32(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_read_as_python_reads_texts() {
        for (text, separator) in [
            (r"\n", Some("\n")),
            (r"\x41\101\u0041\q\\", Some("AAA\\q\\")),
            ("'a", Some("'a")),
            ("a'b", Some("a'b")),
            (r"\'", Some("'")),
            ("'", None),
            ("'''a", None),
            ("''", Some("")),
            ("a''", Some("a")),
            ("''a", Some("''a")),
            ("''' \"b\" 'c' '''", Some("bc")),
            ("'''''", None),
            (r"\", None),
            (r"\x4", None),
        ] {
            assert_eq!(unescaped(text).as_deref(), separator, "{text}");
        }
    }
}
