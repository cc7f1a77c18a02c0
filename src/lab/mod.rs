//! The lab: a fleet inside the process.

pub mod haproxy;
