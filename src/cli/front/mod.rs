//! The front-ends: one file each, and the table of those that replace another tool.

pub mod clubak;
pub mod clush;
pub mod hash;
pub mod milkcheck;
mod mistakes;
pub mod nodeset;

use super::FrontEnd;

/// The drop-in front-ends. `hash` itself is what remains when no name matches.
pub static FRONT_ENDS: &[FrontEnd] = &[
    FrontEnd {
        name: "clubak",
        run: clubak::run,
    },
    FrontEnd {
        name: "clush",
        run: clush::run,
    },
    FrontEnd {
        name: "milkcheck",
        run: milkcheck::run,
    },
    FrontEnd {
        name: "nodeset",
        run: nodeset::run,
    },
    FrontEnd {
        name: "cluset",
        run: nodeset::run,
    },
];

/// The front-end of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static FrontEnd> {
    FRONT_ENDS.iter().find(|front_end| front_end.name == name)
}
