//! Any text as a node set: an error with its place, or a set whose folded text reads back as the same set.
#![no_main]

use hapsh::nodeset::{NoGroups, eval, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(expr) = parse(text) else { return };
    let Ok(set) = eval(&expr, &NoGroups) else { return };
    if set.len() > 10_000 {
        return;
    }
    let folded = set.to_string();
    let again = parse(&folded).and_then(|expr| Ok(eval(&expr, &NoGroups).unwrap()));
    assert_eq!(again.unwrap(), set, "{folded}");
});
