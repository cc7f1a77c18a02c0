//! The integration tests: one binary, a module per matter.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests may panic, and read the clock and the environment"
)]

#[path = "../lab/mod.rs"]
mod lab;

#[path = "../proof/mod.rs"]
mod proof;

mod as_user;
mod changes;
mod clubak;
mod clubak_oracle;
mod clush;
mod clush_oracle;
mod completions;
mod contents;
mod copy;
mod dropbear;
mod embedded_lab;
mod emulator;
mod faults;
mod fetch;
mod fleet;
mod gateway;
mod golden;
mod hostile;
mod interactive;
mod interrupted;
mod known_hosts;
mod layers;
mod linear;
mod links;
mod main_job;
mod man;
mod memory;
mod milkcheck;
mod nodeset_oracle;
mod openssh;
mod options;
mod oracle;
mod permissions;
mod pipe;
mod progress;
mod remote_paths;
mod run;
mod schema;
mod services;
mod shell_init;
mod signals;
mod slurm;
mod ssh;
mod ssh_config;
mod status;
mod targets;
mod topology_oracle;
mod way;
mod workers;
