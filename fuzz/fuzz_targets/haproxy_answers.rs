//! Any bytes as an answer of HAProxy: an error or a value, never a panic.
#![no_main]

use hapsh::haproxy::change::Reading;
use hapsh::haproxy::{answer, stat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = (answer::servers(bytes), stat::rows(bytes), answer::info(bytes));
    let _ = (answer::level(bytes), answer::weight(bytes), answer::backends(bytes));
    let _ = (answer::old_workers(bytes), answer::accepted(bytes), Reading::parse(bytes));
});
