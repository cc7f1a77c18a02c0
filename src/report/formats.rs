//! All forms that a run is shown in. Which one is taken is `cli`'s to resolve; its options and their values follow from
//! the table.

use super::format::Format;
use super::{gathered, json, lines};

/// All forms, the usual one first.
pub static FORMATS: &[Format] = &[
    gathered::TEXT,
    gathered::BLOCKS,
    lines::LINES,
    json::DOCUMENT,
    json::EVENTS,
    #[cfg(test)]
    super::tally::TALLY,
];

/// The form that is taken when none is named.
#[must_use]
pub fn usual() -> &'static Format {
    &FORMATS[0]
}

/// The form of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}
