//! Actions: commands, and what runs natively on HAProxy.

use std::collections::HashSet;

use super::reader::{Owner, Reader, Warning};
use crate::service::definition::{ActionDefinition, Settings, TaskDefinition};
use crate::service::variables::Written;
use crate::service::{HaproxyVerb, ServiceError};
use crate::yaml::{Node, Position, Yaml};

/// The keys of a native action.
#[derive(Default)]
struct Native {
    verb: Option<HaproxyVerb>,
    server: Option<Written>,
    socket: Option<Written>,
    backend: Option<Written>,
    bad: bool,
    force: bool,
}

impl Reader<'_> {
    pub(super) fn actions(
        &mut self,
        service: &str,
        yaml: &Yaml,
    ) -> Result<Vec<ActionDefinition>, ServiceError> {
        if yaml.is_null() {
            return Ok(Vec::new());
        }
        let owner = Owner::Service(service);
        let Some(pairs) = self.pairs(yaml, owner)? else {
            let message = format!("{owner}: `actions` must be a mapping, not {}", yaml.kind());
            return Err(self.wrong(yaml.at, message));
        };
        let mut seen = HashSet::new();
        let mut actions = Vec::new();
        for (written, value, at) in pairs {
            let names = self.expanded(written, at)?;
            for name in names {
                if !seen.insert(name.clone()) {
                    let message = format!("{owner}: action '{name}' is defined twice");
                    return Err(self.wrong(at, message));
                }
                let quiet_from = self.warnings.len();
                actions.push(self.action((service, &name), value, at)?);
                // What is odd about one of several names is odd about all.
                if seen.len() > 1 {
                    self.forget_repeated(quiet_from);
                }
            }
        }
        Ok(actions)
    }

    pub(super) fn forget_repeated(&mut self, from: usize) {
        let (before, new) = self.warnings.split_at(from);
        let fresh: Vec<Warning> = new
            .iter()
            .filter(|warning| !before.contains(warning))
            .cloned()
            .collect();
        self.warnings.truncate(from);
        self.warnings.extend(fresh);
    }

    pub(super) fn action(
        &mut self,
        (service, name): (&str, &str),
        yaml: &Yaml,
        at: Position,
    ) -> Result<ActionDefinition, ServiceError> {
        let owner = Owner::Action(service, name);
        let Some(pairs) = self.pairs(yaml, owner)? else {
            let message = format!("{owner}: must be a mapping, not {}", yaml.kind());
            return Err(self.wrong(at, message));
        };
        let is_native = pairs.iter().any(|(key, ..)| *key == "haproxy");
        let mut settings = Settings::default();
        let mut checks = Vec::new();
        let mut command = None;
        let mut native = Native::default();
        for (key, value, at) in pairs {
            match key {
                "cmd" => {
                    let Some(text) = value.text().filter(|_| !value.is_null()) else {
                        let message = format!("{owner}: `cmd` must be text, not {}", value.kind());
                        return Err(self.wrong(value.at, message));
                    };
                    command = Some(self.template(text, value.at, (owner, key))?);
                }
                "check" => checks = self.words(value, (owner, key))?,
                "haproxy" => native.verb = Some(self.verb(value, owner)?),
                "server" | "socket" | "backend" if is_native => {
                    if matches!(value.node, Node::Map(_)) {
                        let message = format!("{owner}: '{key}' cannot be a mapping");
                        return Err(self.wrong(value.at, message));
                    }
                    let written = self.written(value, (owner, key))?;
                    match key {
                        "server" => native.server = Some(written),
                        "socket" => native.socket = Some(written),
                        _ => native.backend = Some(written),
                    }
                }
                "bad" if is_native => native.bad = self.boolean(value, (owner, key))?,
                "force" if is_native => native.force = self.boolean(value, (owner, key))?,
                _ => self.setting(&mut settings, (key, value, at), owner)?,
            }
        }
        let task = match (command, native.verb) {
            (Some(command), None) => TaskDefinition::Command(command),
            (None, Some(verb)) => TaskDefinition::Haproxy {
                verb,
                server: native.server,
                socket: native.socket,
                backend: native.backend,
                bad: native.bad,
                force: native.force,
            },
            (Some(_), Some(_)) => {
                return Err(self.wrong(at, format!("{owner}: has both `cmd` and `haproxy`")));
            }
            (None, None) => return Err(self.wrong(at, format!("{owner}: has no `cmd`"))),
        };
        Ok(ActionDefinition {
            name: name.to_owned(),
            origin: self.origin(at),
            settings,
            checks,
            task,
        })
    }

    pub(super) fn verb(&self, yaml: &Yaml, owner: Owner<'_>) -> Result<HaproxyVerb, ServiceError> {
        let known = HaproxyVerb::ALL
            .into_iter()
            .find(|verb| yaml.text() == Some(verb.as_str()));
        known.ok_or_else(|| {
            let names: Vec<_> = HaproxyVerb::ALL.iter().map(|verb| verb.as_str()).collect();
            let message = format!("{owner}: `haproxy` must be one of {}", names.join(", "));
            self.wrong(yaml.at, message)
        })
    }
}
