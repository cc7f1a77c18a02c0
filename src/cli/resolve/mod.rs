//! From what was typed to what will happen: files and groups are read here, and a mistake of the user ends here, before
//! anything is contacted. Knows no front-end and no verb.

pub(in crate::cli) mod globs;
pub(in crate::cli) mod lists;
pub(in crate::cli) mod nodes;
pub(in crate::cli) mod targets;
