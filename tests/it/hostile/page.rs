//! The manual page about faults, made from the table of the tests.

use std::path::Path;

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
    let mut page = BEFORE.to_owned();
    let mut part = "";
    for case in &cases::all() {
        if case.part != part {
            part = case.part;
            page += &format!(".SS {part}\n");
        }
        page += &entry(case);
    }
    page + AFTER
}

#[test]
fn the_page_is_what_the_tests_hold() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/hapsh-faults.7");
    let assert = Assert::new().action_env("SNAPSHOTS");
    assert.eq(text(), Data::read_from(&file, None).raw());
}
