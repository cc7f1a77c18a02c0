//! Services: what they are, how they depend on each other, and which may run next.
//!
//! Pure: reading files is `config::services`, running actions `exec::services`, showing them
//! `report::services`. A [`Graph`] is checked once and then read only; a [`Walk`] is one run over it.

mod action;
pub mod definition;
mod error;
pub mod expand;
mod graph;
mod id;
mod nodes;
mod reach;
pub mod resolve;
mod status;
pub mod variables;
mod walk;

#[cfg(test)]
mod tests;

pub use action::{Action, Delay, HaproxyTask, HaproxyVerb, Part, Place, Target, Task};
pub use error::{Origin, ServiceError};
pub use graph::{Body, Direction, Graph, Link, Service, Word, labelled};
pub use id::{ActionId, ServiceId};
pub use resolve::resolve;
pub use status::{Status, Thresholds};
pub use walk::{Ran, Request, Step, Walk};
