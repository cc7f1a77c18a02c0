//! Any bytes as an `ssh_config`: an error with its line, or settings for every host, never a panic.
#![no_main]

use std::collections::HashMap;
use std::path::PathBuf;

use hapsh::transport::ssh::user_config::{Facts, UserConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let home = PathBuf::from("/nowhere");
    let facts = Facts {
        user: "me".to_owned(),
        uid: 0,
        homes: HashMap::new(),
        host_name: "control.example".to_owned(),
        // Whatever `Match exec` says is run by this "shell", which does nothing.
        env: HashMap::from([("SHELL".to_owned(), "/bin/true".to_owned())]),
        user_file: home.join(".ssh/config"),
        system_file: home.join("ssh_config"),
        resolves: |_| false,
        home,
    };
    let Ok(config) = UserConfig::from_text(facts, "fuzz", data) else { return };
    for host in ["lb1", "LB1.example", "10.0.0.1", "::1"] {
        let _ = config.resolve(host, None, None);
    }
});
