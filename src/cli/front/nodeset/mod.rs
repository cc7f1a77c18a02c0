//! `nodeset` and `cluset`: ClusterShell 1.10.1's tool for node sets, with its options, output and exit codes.

mod groups;
mod input;
mod options;

use std::ffi::OsString;
use std::io::{self, Write};

use crate::cli::axes::default_axes;
use crate::cli::console::Console;
use crate::cli::printf::{Format, FormatError, Value};
use crate::cli::resolve::groups::{Sources, folders, no_all};
use crate::cli::resolve::targets::pick;
use crate::config::Environment;
use crate::groups::Defaults;
use crate::nodeset::{Autostep, Axes, Builder, EvalError, NodeSet, RangeSet, Style, group_nodes};

use input::Reader;
use options::{Command, Operation, Options, Parsed, Steps};

/// The version of the original whose behaviour this is.
const VERSION: &str = "1.10.1";

/// Why a run ends early.
enum Failure {
    /// A message behind the program's name.
    Named(String),
    /// A message behind `ERROR:`.
    Plain(String),
    /// The source cannot list its groups; `-L` goes on with the next.
    NoList(String),
    /// Our output cannot be written.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<FormatError> for Failure {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Format(message) => Self::Plain(message),
            FormatError::Fit(message) => Self::Named(message),
        }
    }
}

/// Runs `nodeset` with the words behind its name.
pub fn run(called: &str, words: &[OsString], console: &mut Console) -> u8 {
    let asked = match options::read(words) {
        Ok(asked) => asked,
        Err(message) => {
            console.complain(format_args!(
                "{}\n\n{called}: error: {message}",
                usage(called)
            ));
            return 2;
        }
    };
    let done = match asked {
        Parsed::Help => writeln!(console.out, "{}\n\n{HELP}", usage(called)).map_err(Failure::from),
        Parsed::Version => writeln!(console.out, "{called} {VERSION}").map_err(Failure::from),
        Parsed::Run(options, command) => execute(*options, &command, console),
    };
    let written = console.close();
    match done.and_then(|()| written.map_err(Failure::from)) {
        Ok(()) => 0,
        Err(failure) => {
            match failure {
                Failure::Named(message) | Failure::NoList(message) => {
                    console.complain(format_args!("{called}: {message}"));
                }
                Failure::Plain(message) => console.complain(format_args!("ERROR: {message}")),
                Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Failure::Output(error) => {
                    console.complain(format_args!("{called}: cannot write the output: {error}"));
                }
            }
            1
        }
    }
}

fn usage(called: &str) -> String {
    format!("Usage: {called} [COMMAND] [OPTIONS] [ns1 [-ixX] ns2|...]")
}

/// What a run has in hand.
struct Run<'a> {
    options: Options,
    groups: &'a Sources,
    console: &'a mut Console,
    style: Style,
}

fn execute(options: Options, command: &Command, console: &mut Console) -> Result<(), Failure> {
    let environment = Environment::of_process();
    let mut sources = Sources::new(&environment, options.groupsconf.clone());
    if let Some(source) = &options.source {
        if options.ranges && !options.quiet {
            console.complain(format_args!(
                "WARNING: option group source \"{source}\" ignored"
            ));
        }
        sources.set_default(source)?;
    }
    let mut run = Run {
        options,
        groups: &sources,
        console,
        style: Style::default(),
    };
    if *command == Command::GroupSources {
        return run.group_sources();
    }
    let (nodes, meant) = run.nodes(command)?;
    let listed = meant.then_some(&nodes);
    if let Some(steps) = run.options.steps {
        run.style.autostep = steps.of(nodes.count())?;
    }
    if *command == Command::List {
        return run.list(listed);
    }
    if *command == Command::ListAll {
        return run.list_all(listed);
    }
    let mut command = command;
    if *command == Command::Completion {
        run.completion()?;
        if nodes.is_empty() {
            return Ok(());
        }
        command = &Command::Expand;
    }
    let nodes = run.narrow(nodes)?;
    run.choose_style(&environment, command, &nodes)?;
    if let Command::Index(name) = command {
        return run.index(name, &nodes);
    }
    let separator = run.options.separator.as_deref().unwrap_or(" ");
    let separator = options::separator(separator)?;
    let is_parted = run.options.contiguous || run.options.split.is_some_and(|parts| parts > 1);
    let nodes = match &run.options.format {
        // Names get their new form before they are parted.
        Some(format) if is_parted && *command == Command::Fold && !run.options.ranges => {
            let renamed = renamed(&nodes, &Format::new(format))?;
            run.options.format = None;
            renamed
        }
        _ => nodes,
    };
    let parts: Box<dyn Iterator<Item = NodeSet>> = match run.options.split {
        _ if nodes.is_empty() => return run.show(command, &nodes, &separator),
        _ if run.options.contiguous => {
            // What makes a range goes by the steps, and then it is written without any.
            let steps = std::mem::take(&mut run.style.autostep);
            Box::new(nodes.contiguous(steps))
        }
        Some(parts) if parts > 1 => {
            Box::new(nodes.split(usize::try_from(parts).unwrap_or(usize::MAX)))
        }
        _ => return run.show(command, &nodes, &separator),
    };
    // The original's parts know nothing of --axis.
    if run.options.axis.is_some() {
        run.style.axes = Axes::All;
    }
    for part in parts {
        run.show(command, &part, &separator)?;
    }
    Ok(())
}

impl Run<'_> {
    /// The set that the words, standard input and the operations make, and whether nodes were meant at all.
    fn nodes(&mut self, command: &Command) -> Result<(NodeSet, bool), Failure> {
        let reader = Reader {
            groups: self.groups,
            ranges: self.options.ranges,
        };
        let mut nodes = Builder::new();
        let lists = matches!(
            command,
            Command::List | Command::ListAll | Command::Completion
        );
        if self.options.all {
            let all = group_nodes(None, None, self.groups).map_err(|error| {
                if let EvalError::Group(_) = &error {
                    return Failure::Named(no_all(&error));
                }
                error.into()
            })?;
            nodes.add_set(&all);
        } else if self.options.words.is_empty() && !lists {
            reader.standard_input(&mut nodes)?;
        }
        let operations = std::mem::take(&mut self.options.operations);
        if !operations.is_empty() && nodes.value().is_empty() && !self.options.quiet {
            self.console
                .complain("WARNING: empty left operand for set operation");
        }
        for wanted in [Operation::Intersection, Operation::Exclude, Operation::Xor] {
            for (operation, operand) in &operations {
                if *operation == wanted {
                    let value = reader.option(operand)?;
                    apply(*operation, &mut nodes, &value, operand);
                }
            }
        }
        let mut words = std::mem::take(&mut self.options.words).into_iter();
        while let Some(word) = words.next() {
            match options::operation(&word) {
                None => reader.operand(&word, &mut nodes)?,
                Some(operation) => {
                    let operand = words.next();
                    let operand =
                        operand.ok_or_else(|| Failure::Plain("pop from empty list".into()))?;
                    let mut value = Builder::new();
                    reader.operand(&operand, &mut value)?;
                    apply(operation, &mut nodes, &value.finish(), &operand);
                }
            }
        }
        let nodes = nodes.finish();
        let meant = !nodes.is_empty() || self.options.all || !operations.is_empty();
        Ok((nodes, meant))
    }

    /// `-I` and `--pick`.
    fn narrow(&self, mut nodes: NodeSet) -> Result<NodeSet, Failure> {
        if let Some(positions) = &self.options.slice {
            nodes = nodes.slice(&RangeSet::parse(positions).map_err(Failure::range)?);
        }
        let Some(count) = self.options.pick else {
            return Ok(nodes);
        };
        let count = u128::try_from(count)
            .map_err(|_| Failure::Plain("Sample larger than population or is negative".into()))?;
        Ok(match count {
            0 => nodes,
            count => pick(nodes, count),
        })
    }

    fn choose_style(
        &mut self,
        environment: &Environment,
        command: &Command,
        nodes: &NodeSet,
    ) -> Result<(), Failure> {
        if let Some(steps) = self.options.steps {
            self.style.autostep = match steps {
                // The original's slices forget the number 0, and those of range sets any number.
                Steps::Count(count)
                    if self.options.slice.is_some() && (count == 0 || self.options.ranges) =>
                {
                    Autostep::Off
                }
                Steps::Count(_) | Steps::Percent(_) | Steps::Auto => steps.of(nodes.count())?,
            };
        }
        self.style.axes = match &self.options.axis {
            Some(axis) => options::axes(axis)?,
            None if *command == Command::Fold || *command == Command::Regroup => {
                configured_axes(environment)?
            }
            None => Axes::All,
        };
        Ok(())
    }

    fn fold(&self, nodes: &NodeSet) -> String {
        if self.options.ranges {
            nodes.ranges().fold(self.style.autostep)
        } else {
            nodes.fold(&self.style)
        }
    }

    /// `--index`.
    fn index(&mut self, name: &str, nodes: &NodeSet) -> Result<(), Failure> {
        let (position, shown, set) = if self.options.ranges {
            (nodes.ranges().position(name), name.to_owned(), "RangeSet")
        } else {
            let reader = Reader {
                groups: self.groups,
                ranges: false,
            };
            let mut wanted = Builder::new();
            reader.word(name, &mut wanted)?;
            let wanted = wanted.finish();
            let mut names = wanted.iter();
            let (Some(node), None) = (names.next(), names.next()) else {
                return Err(Failure::Plain(
                    "index() argument must be a single node".into(),
                ));
            };
            (nodes.position(&node), format!("'{node}'"), "nodeset")
        };
        let position =
            position.ok_or_else(|| Failure::Plain(format!("{shown} is not in {set}")))?;
        let line = self.formatted(Value::Number(position))?;
        Ok(writeln!(self.console.out, "{line}")?)
    }

    fn formatted(&self, value: Value<'_>) -> Result<String, Failure> {
        let mut line = String::new();
        Format::new(self.options.format.as_deref().unwrap_or("%s")).write(value, &mut line)?;
        Ok(line)
    }

    /// Prints one set.
    fn show(&mut self, command: &Command, nodes: &NodeSet, separator: &str) -> Result<(), Failure> {
        if *command == Command::Expand {
            return self.expand(nodes, separator);
        }
        let line = if *command == Command::Count {
            self.formatted(Value::Number(nodes.count()))?
        } else if *command == Command::Regroup {
            self.formatted(Value::Text(&self.regroup(nodes)?))?
        } else if self.options.ranges {
            let line = self.formatted(Value::Text(&self.fold(nodes)));
            match (&self.options.format, line) {
                // The original does not mind here.
                (Some(format), Err(_)) if !format.contains('%') => format.clone(),
                (_, line) => line?,
            }
        } else if let Some(format) = &self.options.format {
            // The axes are those of other names.
            renamed(nodes, &Format::new(format))?.fold(&Style {
                axes: Axes::All,
                ..self.style.clone()
            })
        } else {
            self.fold(nodes)
        };
        Ok(writeln!(self.console.out, "{line}")?)
    }

    /// Prints the names, as they are made: there may be a billion.
    fn expand(&mut self, nodes: &NodeSet, separator: &str) -> Result<(), Failure> {
        let format = self
            .options
            .format
            .as_deref()
            .filter(|format| *format != "%s");
        let format = format.map(Format::new);
        let mut names = nodes.iter();
        let mut text = String::new();
        let mut name = String::new();
        let mut first = true;
        loop {
            if !first {
                text.push_str(separator);
            }
            let more = match &format {
                None => names.append_next(&mut text),
                Some(format) => {
                    name.clear();
                    let more = names.append_next(&mut name);
                    if more {
                        format.write(Value::Text(&name), &mut text)?;
                    }
                    more
                }
            };
            if !more {
                if !first {
                    text.truncate(text.len() - separator.len());
                }
                break;
            }
            first = false;
            if text.len() > 32 * 1024 {
                // The separator before the next name stays in the text.
                self.console.out.write_all(text.as_bytes())?;
                text.clear();
            }
        }
        Ok(writeln!(self.console.out, "{text}")?)
    }
}

fn apply(operation: Operation, nodes: &mut Builder, value: &NodeSet, operand: &str) {
    match operation {
        // An empty standard input changes nothing.
        _ if operand == "-" && value.is_empty() => {}
        Operation::Exclude => nodes.difference(value),
        Operation::Intersection => nodes.intersection(value),
        Operation::Xor => nodes.symmetric_difference(value),
    }
}

/// The set of the names as formatted.
fn renamed(nodes: &NodeSet, format: &Format) -> Result<NodeSet, FormatError> {
    let mut builder = Builder::new();
    let mut name = String::new();
    for node in nodes {
        name.clear();
        format.write(Value::Text(&node), &mut name)?;
        builder.add(name.trim());
    }
    Ok(builder.finish())
}

/// The axes of `fold_axis` in `defaults.conf`.
fn configured_axes(environment: &Environment) -> Result<Axes, Failure> {
    let defaults =
        Defaults::load(&folders(environment)).map_err(|error| Failure::Named(error.to_string()))?;
    Ok(default_axes(&defaults))
}

/// What `--help` says behind the usage line.
const HELP: &str = "\
Commands (exactly one):
  -c, --count               number of nodes
  -e, --expand              names of nodes, separated
  -f, --fold                folded node set
  -r, --regroup             folded node set, with groups where it can be
  -l, --list                groups (-ll: with nodes, -lll: with counts)
  -L, --list-all            groups of all sources (-LL, -LLL likewise)
  --index=NODE              position of NODE in the set, from 0
  --groupsources            group sources

Operations:
  -x, --exclude=NODES       without these
  -i, --intersection=NODES  only these
  -X, --xor=NODES           those in one of both sets only

Options:
  -s, --groupsource=SOURCE  default group source
  --groupsconf=FILE         use this groups.conf only
  -a, --all                 start with all nodes of the default source
  --autostep=N              write steps (a-b/s) from N nodes on; also a percentage of the set, or 'auto'
  -d, --debug               accepted for compatibility
  -q, --quiet               no warnings
  -R, --rangeset            operands are range sets
  -G, --groupbase           group names without their source
  -S, --separator=TEXT      separator for -e (default: a space)
  -O, --output-format=FMT   printf-like format with one %s
  -I, --slice=RANGESET      only the nodes at these positions, from 0
  --split=N                 at most N subsets of about the same size
  --contiguous              a subset for each contiguous range
  --axis=RANGESET           fold only these dimensions, from 1; -1 is the last
  --pick=N                  N nodes chosen at random
  -h, --help                this text
  --version                 the version of ClusterShell this behaves as

Node sets: n[1-5,07/2]x, operators , ! & ^ from left to right, @group, @source:group, @*, @@source, * and ?.
See nodeset(1) and hapsh-nodeset(7).";
