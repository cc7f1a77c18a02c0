//! What is said of a change of HAProxy's servers.

pub mod notes;
