//! What every part of a service file is read with: the file's name, what is odd in it, and the keys of mappings.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::service::definition::{Definition, Definitions, Variable};
use crate::service::variables::{Template, ValueForm, Written};
use crate::service::{Origin, ServiceError};
use crate::yaml::{Position, Yaml, YamlError};

/// Something odd in a file that does not keep it from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub origin: Origin,
    /// What.
    pub message: String,
    /// Whether something that is written there counts for nothing.
    pub is_loss: bool,
}

/// What service files say.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The services and variables.
    pub definitions: Definitions,
    /// What is odd about the files.
    pub warnings: Vec<Warning>,
}

/// Expands a service or action name that is a node set.
pub type Names<'a> = &'a mut dyn FnMut(&str) -> Result<Vec<String>, String>;

/// A list in which a later entry of the same name takes the place of the earlier.
pub(super) struct Named<T> {
    pub(super) items: Vec<T>,
    pub(super) places: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<T> Named<T> {
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.places.get(name).map(|at| &self.items[*at])
    }

    pub(super) fn put(&mut self, name: &str, item: T) {
        match self.places.get(name) {
            Some(at) => self.items[*at] = item,
            None => {
                self.places.insert(name.to_owned(), self.items.len());
                self.items.push(item);
            }
        }
    }
}

pub(super) struct Reader<'a> {
    names: Names<'a>,
    pub(super) file: Arc<str>,
    pub(super) services: Named<Definition>,
    pub(super) variables: Named<Variable>,
    pub(super) warnings: Vec<Warning>,
}

/// One key of a mapping and its value.
pub(super) type Pair<'y> = (&'y str, &'y Rc<Yaml>, Position);

/// What a mapping belongs to, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner<'n> {
    File,
    Service(&'n str),
    Action(&'n str, &'n str),
}

impl std::fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File => f.write_str("Global variables"),
            Self::Service(name) => write!(f, "Service '{name}'"),
            Self::Action(service, name) => write!(f, "Service '{service}', action '{name}'"),
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(names: Names<'a>) -> Self {
        Self {
            names,
            file: "".into(),
            services: Named::default(),
            variables: Named::default(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Loaded {
        Loaded {
            definitions: Definitions {
                variables: self.variables.items,
                services: self.services.items,
            },
            warnings: self.warnings,
        }
    }

    /// A text that is no YAML, in PyYAML's two lines.
    pub(super) fn syntax(&self, text: &str, error: &YamlError) -> ServiceError {
        let Position { line, column } = error.at;
        let message = format!(
            "{}\n  in \"{}\", line {line}, column {column}",
            error.message, self.file
        );
        let error = ServiceError::classic(message, Some(&self.origin(error.at)));
        let written = text.lines().nth(line as usize - 1).unwrap_or_default();
        let value = written
            .split_once(':')
            .map_or(written, |(_, value)| value)
            .trim_start();
        match value.chars().next() {
            _ if written.starts_with('\t') || written.trim_start_matches(' ').starts_with('\t') => {
                error.hint("indent with blanks: YAML allows no tabs there")
            }
            Some(first @ ('@' | '%' | '`')) => error.hint(format!(
                "a value that begins with `{first}` needs quotes: \"{}\"",
                value.trim_end()
            )),
            _ => error,
        }
    }

    pub(super) fn origin(&self, at: Position) -> Origin {
        Origin {
            file: Arc::clone(&self.file),
            line: at.line,
            column: at.column,
        }
    }

    pub(super) fn wrong(&self, at: Position, message: impl Into<String>) -> ServiceError {
        ServiceError::clean(message, Some(&self.origin(at)))
    }

    pub(super) fn warn(&mut self, at: Position, message: String) {
        let origin = self.origin(at);
        self.warnings.push(Warning {
            origin,
            message,
            is_loss: false,
        });
    }

    /// Warns of something that stands twice in one mapping: the first one has no effect.
    pub(super) fn warn_twice(&mut self, what: &str, (first, again): (u32, Position)) {
        let message =
            format!("{what} is written twice, first in line {first}; the last one counts");
        self.warnings.push(Warning {
            origin: self.origin(again),
            message,
            is_loss: true,
        });
    }

    /// The entries of a mapping; `None` if it is something else.
    pub(super) fn pairs<'y>(
        &mut self,
        yaml: &'y Yaml,
        owner: Owner<'_>,
    ) -> Result<Option<Vec<Pair<'y>>>, ServiceError> {
        let entries = yaml.entries();
        let Some(entries) = entries.map_err(|error| self.wrong(error.at, error.message))? else {
            return Ok(None);
        };
        for (first, again) in entries.repeated {
            let name = again.text().unwrap_or_default();
            self.warn_twice(&format!("`{name}`"), (first.at.line, again.at));
        }
        let pairs = entries.pairs.into_iter();
        let named = pairs.map(|(key, value)| match key.text() {
            Some(name) => Ok((name, value, key.at)),
            None => {
                let message = format!("{owner}: a key must be a word, not {}", key.kind());
                Err(self.wrong(key.at, message))
            }
        });
        named.collect::<Result<_, _>>().map(Some)
    }

    /// The names a key stands for.
    pub(super) fn expanded(
        &mut self,
        name: &str,
        at: Position,
    ) -> Result<Vec<String>, ServiceError> {
        if !name.contains(['[', ',', '!', '&', '^', '@']) {
            return Ok(vec![name.to_owned()]);
        }
        (self.names)(name).map_err(|reason| self.wrong(at, format!("Bad name '{name}': {reason}")))
    }

    pub(super) fn template(
        &self,
        text: &str,
        at: Position,
        (owner, key): (Owner<'_>, &str),
    ) -> Result<Written, ServiceError> {
        match Template::parse(text) {
            Ok(template) => Ok(Written {
                form: ValueForm::Template(template),
                origin: self.origin(at),
            }),
            Err(error) => Err(self
                .wrong(at, format!("{owner}: '{key}' has {error}"))
                .hint("write %% for a plain %")),
        }
    }
}
