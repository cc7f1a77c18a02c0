//! The integration tests: one binary, a module per matter.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests may panic, and read the clock and the environment"
)]

#[path = "../lab/mod.rs"]
mod lab;

mod clubak;
mod clubak_oracle;
mod embedded_lab;
mod emulator;
mod fleet;
mod known_hosts;
mod layers;
mod main_job;
mod milkcheck;
mod openssh;
mod oracle;
mod pipe;
mod signals;
mod ssh;
mod ssh_config;
