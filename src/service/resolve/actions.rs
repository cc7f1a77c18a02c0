//! One definition after another becomes a service with its actions, settings handed down from level to level.

use std::sync::Arc;

use super::checks::check_positions;
use super::entries::Entry;
use super::purpose::Purpose;
use super::values::{delay, seconds, whole};
use crate::placeholder::LOCAL;
use crate::service::action::{Action, Delay, HaproxyTask, Part, Place, Target, Task};
use crate::service::definition::{ActionDefinition, DefinitionBody, Settings, TaskDefinition};
use crate::service::error::ServiceError;
use crate::service::expand::{Expander, ScopeId, Setting};
use crate::service::graph::{Body, Service};
use crate::service::id::{ActionId, ServiceId};
use crate::service::status::Thresholds;
use crate::service::variables::{Value, ValueForm, Written};

/// Settings that a level hands down when the one below says nothing, or zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Inherited {
    delay: Delay,
    retry: u64,
    thresholds: Thresholds,
    mode: String,
    stays_here: bool,
}

pub(super) struct Resolver<'d> {
    pub(super) purpose: Purpose,
    pub(super) expander: Expander<'d>,
    pub(super) actions: Vec<Action>,
}

impl Resolver<'_> {
    pub(super) fn service(
        &mut self,
        entry: &Entry<'_>,
        at: usize,
        inherited: &Inherited,
        before: &[Service],
    ) -> Result<Service, ServiceError> {
        let id = ServiceId(u32::try_from(at).unwrap_or(u32::MAX));
        let definition = entry.definition;
        if self.purpose == Purpose::Run {
            self.expander.force(entry.scope)?;
        }
        let settings = &definition.settings;
        self.validated(entry.scope, "fanout", &settings.fanout, whole)?;
        self.validated(entry.scope, "timeout", &settings.timeout, seconds)?;
        let body = match &definition.body {
            DefinitionBody::Members(_) => Body::Members(Vec::new()),
            DefinitionBody::Actions(actions) => {
                let checks = check_positions(actions)?;
                let first = self.actions.len();
                for ((action, scope), checks) in actions.iter().zip(&entry.actions).zip(checks) {
                    let checks = checks.into_iter().map(|check| action_id(first + check));
                    let action = self.action((id, action), *scope, inherited, checks.collect())?;
                    self.actions.push(action);
                }
                Body::Actions((first..self.actions.len()).map(action_id).collect())
            }
        };
        Ok(Service {
            name: definition.name.as_str().into(),
            full_name: Arc::clone(&entry.full_name),
            desc: self.desc(entry.scope)?,
            parent: entry
                .parent
                .and_then(|at| u32::try_from(at).ok())
                .map(ServiceId),
            top: entry.parent.map_or(id, |parent| before[parent].top),
            tags: self.expander.tags(entry.scope),
            body,
            links: Vec::new(),
            dependents: Vec::new(),
        })
    }

    pub(super) fn action(
        &mut self,
        (service, definition): (ServiceId, &ActionDefinition),
        scope: ScopeId,
        from: &Inherited,
        checks: Vec<ActionId>,
    ) -> Result<Action, ServiceError> {
        if self.purpose == Purpose::Run {
            self.expander.force(scope)?;
        }
        let settings = &definition.settings;
        let inherited = self.inherited(scope, settings, Some(from))?;
        let target = match self.expander.target(scope)? {
            Some(nodes) => Target::Nodes(nodes.ids),
            None => Target::Local,
        };
        let place = match inherited.mode.as_str() {
            _ if target == Target::Local => Place::Here,
            "delegate" => Place::Here,
            "exec" => Place::HereForEach,
            _ if inherited.stays_here => Place::HereForEach,
            _ => Place::Remote,
        };
        self.validated(scope, "fanout", &settings.fanout, whole)?;
        self.validated(scope, "timeout", &settings.timeout, seconds)?;
        let is_checked = self.purpose == Purpose::Run;
        let fanout = match is_checked.then(|| self.expander.setting(scope, Setting::Fanout)) {
            Some(value) => whole(&value?).and_then(|fanout| usize::try_from(fanout).ok()),
            None => None,
        };
        let timeout = match is_checked.then(|| self.expander.setting(scope, Setting::Timeout)) {
            Some(value) => seconds(&value?),
            None => None,
        };
        Ok(Action {
            name: definition.name.as_str().into(),
            service,
            desc: self.desc(scope)?,
            task: self.task(scope, definition, place)?,
            target,
            place,
            fanout: fanout.filter(|fanout| *fanout > 0),
            timeout: timeout.filter(|timeout| !timeout.is_zero()),
            delay: inherited.delay,
            retry: inherited.retry,
            thresholds: inherited.thresholds,
            checks,
        })
    }

    pub(super) fn task(
        &mut self,
        scope: ScopeId,
        definition: &ActionDefinition,
        place: Place,
    ) -> Result<Task, ServiceError> {
        match &definition.task {
            TaskDefinition::Command(written) => {
                if place == Place::HereForEach
                    && let ValueForm::Template(template) = &written.form
                {
                    for text in template.texts() {
                        check_placeholders(text, definition, written)?;
                    }
                }
                let parts = match self.purpose {
                    Purpose::Run => self.expander.command(scope, written)?,
                    Purpose::Check => Vec::new(),
                };
                if place == Place::HereForEach {
                    let text: String = parts.iter().map(part_text).collect();
                    check_placeholders(&text, definition, written)?;
                }
                Ok(Task::Shell(parts))
            }
            TaskDefinition::Haproxy {
                verb,
                server,
                socket,
                backend,
                bad,
                force,
            } => Ok(Task::Haproxy(HaproxyTask {
                verb: *verb,
                servers: self.words(scope, server.as_ref())?,
                sockets: self.words(scope, socket.as_ref())?,
                backends: self.words(scope, backend.as_ref())?,
                bad: *bad,
                force: *force,
            })),
        }
    }

    /// The words of a value that is a list, or text with blanks between them.
    pub(super) fn words(
        &mut self,
        scope: ScopeId,
        written: Option<&Written>,
    ) -> Result<Vec<String>, ServiceError> {
        let Some(written) = written.filter(|_| self.purpose == Purpose::Run) else {
            return Ok(Vec::new());
        };
        Ok(match self.expander.value(scope, written)? {
            Value::None => Vec::new(),
            Value::List(items) => items.iter().map(ToString::to_string).collect(),
            Value::Map(_) => {
                let message = "a mapping where words are needed";
                return Err(ServiceError::clean(message, Some(&written.origin)));
            }
            value @ (Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_)) => value
                .to_string()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        })
    }

    pub(super) fn desc(&mut self, scope: ScopeId) -> Result<Option<Arc<str>>, ServiceError> {
        if self.purpose == Purpose::Check {
            return Ok(None);
        }
        let desc = self.expander.setting(scope, Setting::Desc)?;
        Ok((desc != Value::None).then(|| desc.to_string().into()))
    }

    /// What a level has of its own, filled up from the level above.
    pub(super) fn inherited(
        &mut self,
        scope: ScopeId,
        settings: &Settings,
        from: Option<&Inherited>,
    ) -> Result<Inherited, ServiceError> {
        let from = from.cloned().unwrap_or_default();
        let mut number = |key, written, inherited| {
            let own = self.validated(scope, key, written, whole)?;
            Ok(own.filter(|own| *own > 0).unwrap_or(inherited))
        };
        let retry = number("retry", &settings.retry, from.retry)?;
        let errors = number("errors", &settings.errors, from.thresholds.errors)?;
        let warnings = number("warnings", &settings.warnings, from.thresholds.warnings)?;
        let delay = self.validated(scope, "delay", &settings.delay, delay)?;
        let mode = self.validated(scope, "mode", &settings.mode, |value| {
            Some(value.to_string())
        })?;
        Ok(Inherited {
            delay: delay
                .filter(|delay| !delay.duration.is_zero())
                .unwrap_or(from.delay),
            retry,
            thresholds: Thresholds { errors, warnings },
            mode: mode.filter(|mode| !mode.is_empty()).unwrap_or(from.mode),
            stays_here: settings.stays_here || from.stays_here,
        })
    }

    /// The value of a key, if it is given, in the form the key needs.
    pub(super) fn validated<T>(
        &mut self,
        scope: ScopeId,
        key: &str,
        written: &Option<Written>,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, ServiceError> {
        let Some(written) = written else {
            return Ok(None);
        };
        if self.purpose == Purpose::Check && !written.is_constant() {
            return Ok(None);
        }
        let value = self.expander.value(scope, written)?;
        match convert(&value) {
            Some(value) => Ok(Some(value)),
            None => Err(ServiceError::clean(
                format!("bad value '{value}' for '{key}'"),
                Some(&written.origin),
            )),
        }
    }
}

fn action_id(at: usize) -> ActionId {
    ActionId(u32::try_from(at).unwrap_or(u32::MAX))
}

fn part_text(part: &Part) -> &str {
    match part {
        Part::Text(text) => text,
        Part::Target => "",
    }
}

fn check_placeholders(
    text: &str,
    definition: &ActionDefinition,
    written: &Written,
) -> Result<(), ServiceError> {
    match LOCAL.parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(ServiceError::clean(
            format!(
                "action '{}' has an unknown placeholder `{}` in 'cmd'",
                definition.name, error.written
            ),
            Some(&written.origin),
        )
        .hint(
            "with `mode: exec` the command knows %%h, %%n and %%hosts; write %%%% for a plain %",
        )),
    }
}
