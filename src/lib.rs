//! The library behind the programs `hash` and `hapsh`: two parts of them that other programs can use.
//!
//! - [`nodeset`]: sets of node names as ClusterShell writes them (`web[1-40],db[01-12]!db07`), read, combined and folded
//!   without ever listing what a range stands for.
//! - [`haproxy`]: HAProxy's Runtime API as values. Commands that cannot be anything but one command, answers told
//!   apart from refusals, and the rules of a safe change. It opens no socket.
//!
//! ```
//! use hapsh::nodeset::NodeSet;
//!
//! let all: NodeSet = "web[1-40]".parse()?;
//! let busy: NodeSet = ["web3", "web4", "web17"].into_iter().collect();
//! assert_eq!((all - busy).to_string(), "web[1-2,5-16,18-40]");
//! # Ok::<(), hapsh::nodeset::EvalError>(())
//! ```
//!
//! The feature `serde` reads and writes sets of nodes and of indexes as their text.

// Layers, from the bottom up. A module imports from its own layer's `mod`s only where the table of
// `tests/it/layers.rs` says so, and otherwise from layers below it.
//
// 1. core: pure. No tokio, files, clock, environment or terminal.
//    event, answer, plan, nodeset, gather, gateway, haproxy, service, topology, destination, ini, yaml, placeholder,
//    lines, trace.
// 2. faces: each touches one part of the world, siblings do not meet.
//    transport, groups, config, report, terminal; and prompt, the trait that joins two of them.
// 3. engine: async; knows the traits `Transport`, `Session`, `Work` and `Reporter`, never an implementation of the
//    faces. exec runs a plan, work holds what can be done on a node.
// 4. lab: a fleet inside the process; knows core only.
// 5. front: sees all, is seen by `main` only. cli.
//
// Beside them stands `fuzzing`, which is built for tests and for the fuzzer only.

pub mod haproxy;
pub mod nodeset;

// Hidden, as they are no interface and change with the program: they are public only because the program's binaries,
// its integration tests, its benches and its fuzz targets are crates of their own and go through them.

#[doc(hidden)]
pub mod answer;
#[doc(hidden)]
pub mod destination;
#[doc(hidden)]
pub mod event;
#[doc(hidden)]
pub mod gateway;
#[doc(hidden)]
pub mod gather;
#[doc(hidden)]
pub mod ini;
#[doc(hidden)]
pub mod lines;
#[doc(hidden)]
pub mod placeholder;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod service;
#[doc(hidden)]
pub mod topology;
#[doc(hidden)]
pub mod trace;
#[doc(hidden)]
pub mod yaml;

#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod groups;
#[doc(hidden)]
pub mod prompt;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod terminal;
#[doc(hidden)]
pub mod transport;

#[doc(hidden)]
pub mod exec;
#[doc(hidden)]
pub mod work;

#[doc(hidden)]
pub mod lab;

#[doc(hidden)]
#[expect(
    rustdoc::broken_intra_doc_links,
    rustdoc::invalid_html_tags,
    reason = "comments of options are their help, in which brackets hold what holds without the option"
)]
pub mod cli;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
