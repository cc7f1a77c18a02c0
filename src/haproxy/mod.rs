//! HAProxy's Runtime API as values: commands to text, answers to servers, and the pure part of a change.
//!
//! Nothing here talks: `work::haproxy` sends the commands and hands the answers back.

pub mod answer;
pub mod change;
pub mod command;
pub mod guard;
pub mod name;
pub mod patterns;
pub mod payload;
pub mod raw;
pub mod reading;
pub mod select;
pub mod sessions;
pub mod stat;
pub mod state;
pub mod usable;
