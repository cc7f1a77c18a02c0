//! `hapsh`, the library behind the programs `hash` and `hapsh`.
//!
//! Layers, from the bottom up. A module imports from its own layer's `mod`s only where the table of
//! `tests/it/layers.rs` says so, and otherwise from layers below it.
//!
//! 1. **core**: pure. No tokio, files, clock, environment or terminal.
//!    [`event`], [`answer`], [`plan`], [`nodeset`], [`gather`], [`gateway`], [`haproxy`], [`service`], [`topology`],
//!    [`destination`], [`ini`], [`yaml`], [`placeholder`], [`lines`], [`trace`].
//! 2. **faces**: each touches one part of the world, siblings do not meet.
//!    [`transport`], [`groups`], [`config`], [`report`], [`terminal`]; and [`prompt`], the trait that joins two of them.
//! 3. **engine**: async; knows the traits `Transport`, `Session`, `Work` and `Reporter`, never an implementation
//!    of the faces. [`exec`] runs a plan, [`work`] holds what can be done on a node.
//! 4. **lab**: a fleet inside the process; knows core only. [`lab`].
//! 5. **front**: sees all, is seen by `main` only. [`cli`].
//!
//! Beside them stands `fuzzing`, which is built for tests and for the fuzzer only.

pub mod answer;
pub mod destination;
pub mod event;
pub mod gateway;
pub mod gather;
pub mod haproxy;
pub mod ini;
pub mod lines;
pub mod nodeset;
pub mod placeholder;
pub mod plan;
pub mod service;
pub mod topology;
pub mod trace;
pub mod yaml;

pub mod config;
pub mod groups;
pub mod prompt;
pub mod report;
pub mod terminal;
pub mod transport;

pub mod exec;
pub mod work;

pub mod lab;

pub mod cli;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
