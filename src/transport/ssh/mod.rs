//! The native SSH transport.

pub mod host_keys;
mod pattern;
pub mod user_config;
