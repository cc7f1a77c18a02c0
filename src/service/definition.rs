//! Services as written: names expanded, values not. What `config::services` reads and `resolve` takes.

use super::action::HaproxyVerb;
use super::error::Origin;
use super::graph::Word;
use super::variables::Written;

/// All that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Definitions {
    /// Global variables, in the order they were first defined.
    pub variables: Vec<Variable>,
    /// The top-level services and groups.
    pub services: Vec<Definition>,
}

/// A variable of some level.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Written,
}

/// A service or a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Its own name.
    pub name: String,
    /// Where it stands.
    pub origin: Origin,
    /// What it says for itself and those below it.
    pub settings: Settings,
    /// What it waits for, as written.
    pub links: Vec<(Word, Written)>,
    /// What it is made of.
    pub body: DefinitionBody,
}

/// What a service is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum DefinitionBody {
    /// A group's members.
    Members(Vec<Definition>),
    /// A service's actions.
    Actions(Vec<ActionDefinition>),
}

/// An action.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionDefinition {
    /// Its own name.
    pub name: String,
    /// Where it stands.
    pub origin: Origin,
    /// What it says for itself.
    pub settings: Settings,
    /// The actions of the same service it checks first.
    pub checks: Vec<String>,
    /// What it does.
    pub task: TaskDefinition,
}

/// What an action does.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskDefinition {
    /// `cmd`.
    Command(Written),
    /// `haproxy`.
    Haproxy {
        /// The verb.
        verb: HaproxyVerb,
        /// `server`.
        server: Option<Written>,
        /// `socket`.
        socket: Option<Written>,
        /// `backend`.
        backend: Option<Written>,
        /// `bad`.
        bad: bool,
        /// `force`.
        force: bool,
    },
}

/// Keys that services, groups and actions have in common.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// `variables`.
    pub variables: Vec<Variable>,
    /// `desc`.
    pub desc: Option<Written>,
    /// `target`.
    pub target: Option<Written>,
    /// `mode`.
    pub mode: Option<Written>,
    /// Whether `remote: false` is said.
    pub stays_here: bool,
    /// `fanout`.
    pub fanout: Option<Written>,
    /// `timeout`.
    pub timeout: Option<Written>,
    /// `delay`.
    pub delay: Option<Written>,
    /// `retry`.
    pub retry: Option<Written>,
    /// `errors`.
    pub errors: Option<Written>,
    /// `warnings`.
    pub warnings: Option<Written>,
    /// `tags`.
    pub tags: Vec<String>,
}
