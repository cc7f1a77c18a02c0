//! The manual page about faults, made from the table of the tests.

use std::path::Path;

use indexmap::IndexMap;
use snapbox::{Assert, Data};

use super::cases::{self, Case};

/// What is written by hand, before and after the table.
const BEFORE: &str = include_str!("../man/hapsh-faults-begin.roff");
const AFTER: &str = include_str!("../man/hapsh-faults-end.roff");

fn entry(case: &Case) -> String {
    let outcome = match case.outcome {
        Ok(0) => "as any other node".to_owned(),
        Ok(status) => format!("status {status}"),
        Err(code) => code.to_owned(),
    };
    let exit = case.exit;
    format!(
        ".TP\n.B {}\n{outcome}; exit code {exit}\n",
        case.fault.replace('-', "\\-")
    )
}

fn text() -> String {
    // Chapters stand in the order in which they come first.
    let mut parts: IndexMap<&str, String> = IndexMap::new();
    for case in &cases::all() {
        *parts.entry(case.part).or_default() += &entry(case);
    }
    let parts = parts
        .iter()
        .map(|(part, entries)| format!(".SS {part}\n{entries}"));
    BEFORE.to_owned() + &parts.collect::<String>() + AFTER
}

#[test]
fn the_page_is_what_the_tests_hold() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/hapsh-faults.7");
    let assert = Assert::new().action_env("SNAPSHOTS");
    assert.eq(text(), Data::read_from(&file, None).raw());
}
