//! The fuzzer: feeds bytes to the target that `FUZZ_TARGET` names. Its other words are libFuzzer's.
#![no_main]

use std::sync::LazyLock;

use hapsh::fuzzing::{TARGETS, Target, target};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("FUZZ_TARGET is one of: {}", names.join(" "));
        std::process::exit(64);
    })
});

fuzz_target!(|data: &[u8]| (TARGET.run)(data));
