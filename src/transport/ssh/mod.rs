//! The native SSH transport.

mod pattern;
pub mod user_config;
