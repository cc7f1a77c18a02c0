//! Services and groups: documents, their members, and what each depends on.

use super::reader::{Named, Owner, Reader};
use crate::service::definition::{Definition, DefinitionBody, Settings};
use crate::service::variables::{ValueForm, Written};
use crate::service::{ServiceError, Word};
use crate::yaml::{Node, Position, Yaml, documents};

/// How deep groups may be nested.
const GROUPS: usize = 64;

impl Reader<'_> {
    pub(super) fn file(&mut self, file: &str, text: &str) -> Result<(), ServiceError> {
        self.file = file.into();
        let documents = documents(text).map_err(|error| self.syntax(text, &error))?;
        for document in documents.into_iter().flatten() {
            self.document(&document)?;
        }
        Ok(())
    }

    pub(super) fn document(&mut self, document: &Yaml) -> Result<(), ServiceError> {
        let Some(pairs) = self.pairs(document, Owner::File)? else {
            let message = format!(
                "Expected a mapping with `services`, found {}",
                document.kind()
            );
            return Err(self.wrong(document.at, message));
        };
        for (key, value, at) in pairs {
            match key {
                "services" => {
                    for definition in self.services(value, 0)? {
                        let name = definition.name.clone();
                        self.services.put(&name, definition);
                    }
                }
                "variables" => {
                    for variable in self.variables(value, Owner::File)? {
                        let name = variable.name.clone();
                        self.variables.put(&name, variable);
                    }
                }
                "service" => {
                    let Some(pairs) = self.pairs(value, Owner::File)? else {
                        let message = format!("`service` must be a mapping, not {}", value.kind());
                        return Err(self.wrong(value.at, message));
                    };
                    let name = pairs
                        .iter()
                        .find(|(key, ..)| *key == "name")
                        .and_then(|(_, name, _)| name.text())
                        .filter(|name| !name.is_empty())
                        .ok_or_else(|| self.wrong(at, "`service` has no `name`"))?;
                    for definition in self.entry(name, value, at, 0)? {
                        let name = definition.name.clone();
                        self.services.put(&name, definition);
                    }
                }
                _ => {
                    let message = format!("Bad rule '{key}'");
                    return Err(ServiceError::classic(message, Some(&self.origin(at))));
                }
            }
        }
        Ok(())
    }

    /// The members of a `services` mapping.
    pub(super) fn services(
        &mut self,
        yaml: &Yaml,
        depth: usize,
    ) -> Result<Vec<Definition>, ServiceError> {
        if yaml.is_null() {
            return Ok(Vec::new());
        }
        if depth > GROUPS {
            return Err(self.wrong(yaml.at, format!("Groups nested more than {GROUPS} deep")));
        }
        let Some(pairs) = self.pairs(yaml, Owner::File)? else {
            let message = format!("`services` must be a mapping, not {}", yaml.kind());
            return Err(self.wrong(yaml.at, message));
        };
        let mut definitions: Named<Definition> = Named::default();
        for (name, value, at) in pairs {
            for definition in self.entry(name, value, at, depth)? {
                let name = definition.name.clone();
                if let Some(first) = definitions.get(&name) {
                    let line = first.origin.line;
                    self.warn_twice(&format!("service '{name}'"), (line, at));
                }
                definitions.put(&name, definition);
            }
        }
        Ok(definitions.items)
    }

    /// One service or group, once for each name its key stands for.
    pub(super) fn entry(
        &mut self,
        written: &str,
        yaml: &Yaml,
        at: Position,
        depth: usize,
    ) -> Result<Vec<Definition>, ServiceError> {
        let mut names = self.expanded(written, at)?;
        let Some(last) = names.pop() else {
            return Ok(Vec::new());
        };
        let definition = self.definition(&last, yaml, at, depth)?;
        let mut definitions: Vec<Definition> = names
            .into_iter()
            .map(|name| Definition {
                name,
                ..definition.clone()
            })
            .collect();
        definitions.push(definition);
        Ok(definitions)
    }

    pub(super) fn definition(
        &mut self,
        name: &str,
        yaml: &Yaml,
        at: Position,
        depth: usize,
    ) -> Result<Definition, ServiceError> {
        let owner = Owner::Service(name);
        let Some(pairs) = self.pairs(yaml, owner)? else {
            let message = format!("Service '{name}' must be a mapping, not {}", yaml.kind());
            return Err(self.wrong(at, message));
        };
        let is_group = pairs.iter().any(|(key, ..)| *key == "services");
        let mut settings = Settings::default();
        let mut links = Vec::new();
        let mut members = Vec::new();
        let mut actions = Vec::new();
        for (key, value, at) in pairs {
            match key {
                "services" => members = self.services(value, depth + 1)?,
                "actions" if is_group => {
                    self.warn(
                        at,
                        format!("group '{name}' has `actions`, which are ignored"),
                    );
                }
                "actions" => actions = self.actions(name, value)?,
                "require" => links.extend(self.link(Word::Require, value, (owner, key))?),
                "check" => links.extend(self.link(Word::Check, value, (owner, key))?),
                "filter" | "require_filter" => {
                    links.extend(self.link(Word::Filter, value, (owner, key))?);
                }
                "require_weak" | "after" | "before" => {
                    links.extend(self.link(Word::Weak, value, (owner, key))?);
                }
                "name" => {}
                _ => self.setting(&mut settings, (key, value, at), owner)?,
            }
        }
        Ok(Definition {
            name: name.to_owned(),
            origin: self.origin(at),
            settings,
            links,
            body: if is_group {
                DefinitionBody::Members(members)
            } else {
                DefinitionBody::Actions(actions)
            },
        })
    }

    pub(super) fn link(
        &mut self,
        word: Word,
        yaml: &Yaml,
        (owner, key): (Owner<'_>, &str),
    ) -> Result<Option<(Word, Written)>, ServiceError> {
        if yaml.is_null() {
            return Ok(None);
        }
        let value = match &yaml.node {
            // A name is taken as it is written: a service may be called `on`.
            Node::Scalar { text, .. } => self.template(text, yaml.at, (owner, key))?,
            Node::List(items) => {
                let mut names = Vec::with_capacity(items.len());
                for item in items {
                    let Some(text) = item.text() else {
                        let message = format!("{owner}: `{key}` must be a list of names");
                        return Err(self.wrong(item.at, message));
                    };
                    names.push(self.template(text, item.at, (owner, key))?);
                }
                Written {
                    form: ValueForm::List(names),
                    origin: self.origin(yaml.at),
                }
            }
            Node::Map(_) => {
                let message = format!("{owner}: `{key}` must be a list of names");
                return Err(self.wrong(yaml.at, message));
            }
        };
        Ok(Some((word, value)))
    }
}
