//! Keys that services, groups and actions have in common, and the kinds of values.

use std::rc::Rc;

use super::reader::{Owner, Pair, Reader};
use crate::service::ServiceError;
use crate::service::definition::{Settings, Variable};
use crate::service::variables::{Value, ValueForm, Written};
use crate::yaml::{Node, Scalar, Yaml};

impl Reader<'_> {
    /// A key that services, groups and actions have in common.
    pub(super) fn setting(
        &mut self,
        settings: &mut Settings,
        (key, value, at): Pair<'_>,
        owner: Owner<'_>,
    ) -> Result<(), ServiceError> {
        let is_action = matches!(owner, Owner::Action(..));
        match key {
            "variables" => settings.variables = self.variables(value, owner)?,
            "tags" => settings.tags = self.words(value, (owner, key))?,
            "remote" => {
                settings.stays_here = !value.is_null() && !self.boolean(value, (owner, key))?
            }
            "desc" | "target" | "mode" => {
                let written = match value.text() {
                    _ if value.is_null() => None,
                    Some(text) => Some(self.template(text, value.at, (owner, key))?),
                    None => {
                        let message =
                            format!("{owner}: `{key}` must be text, not {}", value.kind());
                        return Err(self.wrong(value.at, message));
                    }
                };
                match key {
                    "desc" => settings.desc = written,
                    "target" => settings.target = written,
                    _ => settings.mode = written,
                }
            }
            "fanout" | "timeout" | "delay" | "retry" | "errors" | "warnings" => {
                let written = if value.is_null() {
                    None
                } else if value.scalar().is_some() {
                    Some(self.written(value, (owner, key))?)
                } else {
                    let message =
                        format!("{owner}: `{key}` must be a number, not {}", value.kind());
                    return Err(self.wrong(value.at, message));
                };
                match key {
                    "fanout" => settings.fanout = written,
                    "timeout" => settings.timeout = written,
                    "delay" => settings.delay = written,
                    "retry" => settings.retry = written,
                    "errors" => settings.errors = written,
                    _ => settings.warnings = written,
                }
            }
            "require" | "require_weak" | "after" | "before" | "filter" | "require_filter"
                if is_action =>
            {
                self.warn(at, format!("{owner}: `{key}` has no effect on an action"));
            }
            _ => self.warn(at, format!("{owner}: unknown key `{key}`")),
        }
        Ok(())
    }

    pub(super) fn variables(
        &mut self,
        yaml: &Yaml,
        owner: Owner<'_>,
    ) -> Result<Vec<Variable>, ServiceError> {
        if yaml.is_null() {
            return Ok(Vec::new());
        }
        let Some(pairs) = self.pairs(yaml, owner)? else {
            let message = format!("`variables` must be a mapping, not {}", yaml.kind());
            return Err(self.wrong(yaml.at, message));
        };
        pairs
            .into_iter()
            .map(|(name, value, _)| {
                Ok(Variable {
                    name: name.to_owned(),
                    value: self.written(value, (owner, name))?,
                })
            })
            .collect()
    }

    /// A list of words, or one.
    pub(super) fn words(
        &self,
        yaml: &Yaml,
        (owner, key): (Owner<'_>, &str),
    ) -> Result<Vec<String>, ServiceError> {
        let texts: Option<Vec<String>> = match &yaml.node {
            Node::Scalar { .. } if yaml.is_null() => Some(Vec::new()),
            Node::Scalar { text, .. } => Some(vec![text.clone()]),
            Node::List(items) => items
                .iter()
                .map(|item| item.text().map(str::to_owned))
                .collect(),
            Node::Map(_) => None,
        };
        texts
            .ok_or_else(|| self.wrong(yaml.at, format!("{owner}: `{key}` must be a list of words")))
    }

    pub(super) fn boolean(
        &self,
        yaml: &Yaml,
        (owner, key): (Owner<'_>, &str),
    ) -> Result<bool, ServiceError> {
        match yaml.scalar() {
            Some(Scalar::Bool(value)) => Ok(value),
            _ => Err(self.wrong(yaml.at, format!("{owner}: `{key}` must be true or false"))),
        }
    }

    /// A value of any kind, its patterns found.
    pub(super) fn written(
        &self,
        yaml: &Yaml,
        (owner, key): (Owner<'_>, &str),
    ) -> Result<Written, ServiceError> {
        let form = match (&yaml.node, yaml.scalar()) {
            (_, Some(Scalar::Text(text))) => return self.template(text, yaml.at, (owner, key)),
            (_, Some(value)) => ValueForm::Plain(value.into()),
            (Node::List(items), None) => ValueForm::List(
                items
                    .iter()
                    .map(|item| self.written(item, (owner, key)))
                    .collect::<Result<_, _>>()?,
            ),
            (Node::Map(_) | Node::Scalar { .. }, None) => ValueForm::Plain(self.verbatim(yaml)?),
        };
        Ok(Written {
            form,
            origin: self.origin(yaml.at),
        })
    }

    /// What is inside a mapping, as it stands: it may be a store of anchors, whose patterns mean something only where
    /// they are used.
    fn verbatim(&self, yaml: &Yaml) -> Result<Value, ServiceError> {
        if let Some(scalar) = yaml.scalar() {
            return Ok(scalar.into());
        }
        let entries = yaml.entries();
        let entries = entries.map_err(|error| self.wrong(error.at, error.message))?;
        Ok(match (entries, &yaml.node) {
            (Some(entries), _) => {
                let pair = |(key, value): &(&Rc<Yaml>, &Rc<Yaml>)| {
                    Ok((self.verbatim(key)?, self.verbatim(value)?))
                };
                let pairs = entries.pairs.iter().map(pair);
                Value::Map(pairs.collect::<Result<_, ServiceError>>()?)
            }
            (None, Node::List(items)) => {
                let items = items.iter().map(|item| self.verbatim(item));
                Value::List(items.collect::<Result<_, ServiceError>>()?)
            }
            (None, Node::Map(_) | Node::Scalar { .. }) => Value::None,
        })
    }
}
