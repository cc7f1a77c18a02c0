//! The front-end `clubak`: regroups `node: text` lines, as ClusterShell's tool of that name does.
//!
//! Outputs are kept once per distinct output, beyond a budget in a temporary file (`-T` keeps all lines in
//! memory). Standard input may also be the events of `hash --jsonl`.

mod input;
mod keys;
mod options;

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use super::super::axes::{axes, default_axes};
use super::super::color::colored;
use crate::cli::console::Console;
use crate::cli::resolve::groups::folders;
use crate::config::Environment;
use crate::gather::tree::LineTree;
use crate::gather::{DEFAULT_BUDGET, Gather, Output};
use crate::groups::{Defaults, Resolver, Settings};
use crate::nodeset::{self, Builder, EvalError, NodeSet, Style};
use crate::report::classic::Classic;
use crate::report::spill::TempFile;
use input::Input;
use keys::{Keys, Names};
use options::{Options, Parsed};

/// The version of the tool that this one stands in for.
const VERSION: &str = "1.10.1";

/// How much of standard input is read at one time.
const BLOCK: usize = 256 * 1024;

/// Why it ends early.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// A mistake on the command line: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A message with the program's name in front: exit code 1.
    #[error("{0}")]
    Message(String),
    /// Reading or writing failed: exit code 1, without a word if the reader went away.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<EvalError> for Error {
    fn from(error: EvalError) -> Self {
        Self::Message(error.to_string())
    }
}

/// Runs `clubak` with the words behind its name.
pub fn run(called: &str, words: &[OsString], console: &mut Console) -> u8 {
    let result = clubak(called, words, console).and_then(|()| Ok(console.close()?));
    let Err(error) = result else { return 0 };
    if !matches!(error, Error::Io(_)) {
        // What was echoed before stays in front of the message.
        let _ = console.close();
    }
    match error {
        Error::Usage(message) => {
            console.complain(format_args!(
                "{}\n\n{called}: error: {message}",
                options::USAGE
            ));
            2
        }
        Error::Message(message) => {
            console.complain(format_args!("{called}: {message}"));
            1
        }
        Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => 1,
        Error::Io(error) => {
            let text = error.to_string();
            match (error.raw_os_error(), text.find(" (os error")) {
                (Some(number), Some(end)) => {
                    console.complain(format_args!("ERROR: [Errno {number}] {}", &text[..end]));
                }
                _ => console.complain(format_args!("ERROR: {text}")),
            }
            1
        }
    }
}

fn clubak(called: &str, words: &[OsString], console: &mut Console) -> Result<(), Error> {
    let options = match options::parse(words).map_err(Error::Usage)? {
        Parsed::Run(options) => options,
        Parsed::Help => return Ok(console.out.write_all(options::HELP.as_bytes())?),
        Parsed::Version => return Ok(writeln!(console.out, "{called} {VERSION}")?),
    };
    let environment = Environment::of_process();
    let folders = folders(&environment);
    let style = style(&options, &folders)?;
    options.check().map_err(Error::Usage)?;
    let resolver = Resolver::new(match &options.groupsconf {
        Some(path) => Settings::file(path.clone()),
        None => Settings::search(&folders),
    });

    let store = TempFile::new(std::env::temp_dir());
    let mut input = Input::new(
        &options,
        Keys::new(options.interpret, &resolver),
        if options.trace {
            input::Kept::Tree(LineTree::default())
        } else {
            input::Kept::Whole(Gather::new(DEFAULT_BUDGET, Box::new(store)))
        },
        (&mut console.out, console.out_is_terminal),
    );
    read(&mut input)?;
    let (kept, keys, depth) = input.finish()?;

    let names = keys.into_names();
    if options.debug {
        let word = |yes| if yes { "True" } else { "False" };
        console.complain(format_args!(
            "{called}: line_mode={} gather={} tree_depth={depth}",
            word(options.lines),
            word(options.gather),
        ));
    }
    let color = colored(options.color, &environment, console.out_is_terminal);
    let mut display = Display {
        classic: Classic {
            color,
            escape: console.out_is_terminal,
            out: &mut console.out,
        },
        options: &options,
        resolver: &resolver,
        names: &names,
        style,
    };
    match kept {
        input::Kept::Tree(tree) => display.trace(&tree),
        input::Kept::Whole(mut gather) => {
            (0..names.len()).for_each(|id| gather.finish(id, 0));
            if options.diff {
                display.diff(&gather)
            } else if options.gather {
                display.gathered(&gather)
            } else {
                display.each(&gather)
            }
        }
    }
}

/// How sets are folded: `--axis`, else `defaults.conf`.
fn style(options: &Options, folders: &[PathBuf]) -> Result<Style, Error> {
    let axes = match &options.axis {
        Some(text) => axes(text).map_err(Error::Message)?,
        None => {
            let defaults =
                Defaults::load(folders).map_err(|error| Error::Message(error.to_string()))?;
            default_axes(&defaults)
        }
    };
    Ok(Style {
        axes,
        ..Style::default()
    })
}

/// Reads standard input to its end.
fn read(input: &mut Input<'_>) -> Result<(), Error> {
    let mut stdin = File::from(rustix::stdio::stdin().as_fd().try_clone_to_owned()?);
    let mut block = vec![0; BLOCK];
    loop {
        match stdin.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(len) => input.push(&block[..len])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Shows what was gathered.
struct Display<'a, W> {
    classic: Classic<W>,
    options: &'a Options,
    resolver: &'a Resolver,
    names: &'a Names,
    style: Style,
}

/// Keys that said the same, and how they are ordered.
struct Block<'a> {
    keys: Vec<u32>,
    first: String,
    output: Output<'a>,
}

impl<W: Write> Display<'_, W> {
    /// The name of some keys, folded.
    fn name(&self, keys: &[u32]) -> Result<String, Error> {
        // One node is shown as it is called.
        let is_one = keys.len() == 1 && !self.options.regroup;
        let set = match is_one {
            true => None,
            false => self.names.set(keys),
        };
        let Some(set) = set else {
            return Ok(self.names.joined(keys));
        };
        if !self.options.regroup {
            return Ok(set.fold(&self.style));
        }
        let source = self.options.source.as_deref();
        let told = nodeset::regroup(&set, source, self.resolver)?;
        let prefix = source.filter(|_| !self.options.no_prefix);
        Ok(told.fold(prefix, &self.style))
    }

    /// The name with the number of nodes, as in headers.
    fn title(&self, keys: &[u32]) -> Result<String, Error> {
        Ok(self.counted(self.name(keys)?, keys.len()))
    }

    fn counted(&self, name: String, nodes: usize) -> String {
        match nodes > 1 && !self.options.quiet {
            true => format!("{name} ({nodes})"),
            false => name,
        }
    }

    /// The keys as a set, also where they were taken as they stand, as the original does with `-T`; `None` where one of
    /// them is none.
    fn read(&self, keys: &[u32]) -> Option<NodeSet> {
        if let Some(set) = self.names.set(keys) {
            return Some(set);
        }
        let mut all = Builder::new();
        for key in self.names.of(keys) {
            all.take_set(nodeset::eval_text(key, self.resolver).ok()?);
        }
        Some(all.finish())
    }

    fn block(&mut self, keys: &[u32], output: Output<'_>) -> Result<(), Error> {
        let options = self.options;
        if !options.labels {
            self.classic.output(None, output)?;
        } else if options.lines {
            let name = self.name(keys)?;
            self.classic.output(Some(&name), output)?;
        } else {
            let title = self.title(keys)?;
            self.classic.header(&title, 0)?;
            self.classic.output(None, output)?;
        }
        Ok(())
    }

    /// Each key by itself, in the order of the nodes.
    fn each(&mut self, gather: &Gather) -> Result<(), Error> {
        for id in self.names.ordered() {
            self.block(&[id], gather.output(id))?;
        }
        Ok(())
    }

    /// Keys that said the same: the largest group first, then by the name of the first node as text. Keys that are no sets
    /// come as in the original's tree of lines: where outputs part, what was first said later comes first.
    fn blocks<'g>(&self, gather: &'g Gather) -> Result<Vec<Block<'g>>, Error> {
        let mut blocks: Vec<Block<'g>> = gather
            .groups()
            .into_iter()
            .map(|group| Block {
                first: self.names.first(&group.keys).unwrap_or_default(),
                keys: group.keys,
                output: group.output,
            })
            .collect();
        if self.names.are_sets() {
            blocks.sort_by(|a, b| {
                (Reverse(a.keys.len()), &a.first).cmp(&(Reverse(b.keys.len()), &b.first))
            });
            return Ok(blocks);
        }
        if self.options.fast {
            // There whole outputs stand side by side.
            blocks.sort_by_key(|block| Reverse(block.keys.first().copied()));
            return Ok(blocks);
        }
        let parted = blocks
            .into_iter()
            .map(|block| Ok((block.output.parting()?, block)));
        let mut parted = parted.collect::<Result<Vec<_>, Error>>()?;
        parted.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(parted.into_iter().map(|(_, block)| block).collect())
    }

    fn gathered(&mut self, gather: &Gather) -> Result<(), Error> {
        for block in self.blocks(gather)? {
            self.block(&block.keys, block.output)?;
        }
        Ok(())
    }

    /// How each block differs from the first.
    fn diff(&mut self, gather: &Gather) -> Result<(), Error> {
        let blocks = self.blocks(gather)?;
        let Some((reference, others)) = blocks.split_first() else {
            return Ok(());
        };
        let (old_title, old) = (self.title(&reference.keys)?, reference.output.to_vec()?);
        for block in others {
            let (title, new) = (self.title(&block.keys)?, block.output.to_vec()?);
            self.classic.diff((&old_title, &old), (&title, &new))?;
        }
        Ok(())
    }

    /// Where the outputs part.
    fn trace(&mut self, tree: &LineTree) -> Result<(), Error> {
        for step in tree.walk() {
            let indent = 2 * step.level;
            if let Some(keys) = &step.keys {
                if self.options.lines {
                    // The original does not tell these sets by groups.
                    let name = match self.read(keys) {
                        Some(set) => set.fold(&self.style),
                        None => self.names.joined(keys),
                    };
                    self.classic.plain(&format!("{name}:"))?;
                } else if self.options.labels {
                    let title = match self.read(keys) {
                        Some(set) if !self.names.are_sets() => {
                            self.counted(set.fold(&self.style), set.len())
                        }
                        Some(_) | None => self.title(keys)?,
                    };
                    self.classic.header(&title, indent)?;
                }
            }
            self.classic.line(step.line, indent)?;
        }
        Ok(())
    }
}

/// Reads any bytes as standard input: lines with keys, or the events of `--jsonl`.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let resolver = Resolver::new(Settings::search(&[]));
    for words in [
        ["-b", "-L", "--interpret-keys=auto"],
        ["-d", "-T", "--interpret-keys=always"],
        ["-v", "-S=", "--interpret-keys=never"],
    ] {
        let words = words.map(OsString::from);
        let Ok(Parsed::Run(options)) = options::parse(&words) else {
            continue;
        };
        let kept = match options.trace {
            true => input::Kept::Tree(LineTree::default()),
            false => input::Kept::Whole(Gather::default()),
        };
        let keys = Keys::new(options.interpret, &resolver);
        let mut out = Vec::new();
        let mut input = Input::new(&options, keys, kept, (&mut out, true));
        let (first, rest) = data.split_at(data.len() / 2);
        if input.push(first).is_err() || input.push(rest).is_err() {
            continue;
        }
        // Names of many nodes are told as those of a few, only slower.
        if let Ok((_, keys, _)) = input.finish()
            && let names = keys.into_names()
            && names.len() < 1000
        {
            let all: Vec<u32> = (0..names.len()).collect();
            let _ = (names.set(&all), names.first(&all), names.joined(&all));
        }
    }
}
