//! The user's `ssh_config`: read once, resolved for each host in memory, so that what works with `ssh` works here.
//!
//! Follows ssh_config(5) and, where the page is silent, what `ssh -G` does; `tests/it/ssh_config.rs` compares the
//! two. Differences, all deliberate: home is `$HOME` first; a line that makes no sense concerns the hosts of its block
//! only; algorithms that nobody knows are left out instead of refused; what only `ssh` does is named, not done
//! (`keyword::UNUSED`), and so are `Match localnetwork`, `Match version` and `Match command` where a host comes to them.

mod address;
mod algorithms;
mod answers;
mod argument;
mod asked;
mod blocks;
mod condition;
mod config;
mod expand;
mod facts;
mod finish;
mod hop;
mod keyword;
mod parse;
mod place;
mod resolve;
mod settings;
mod value;
mod values;
mod words;

pub use algorithms::AlgorithmList;
pub use asked::{ConfigFile, Given, Options};
pub use config::UserConfig;
pub use facts::Facts;
pub use keyword::is_only_for_ssh;
pub use place::ConfigError;
pub use settings::{
    AddressFamily, AuthSettings, Hop, HostKeyPolicy, HostKeySettings, HostSettings, Missing, Proxy,
};

#[cfg(test)]
mod tests;
