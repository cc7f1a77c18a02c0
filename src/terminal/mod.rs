//! The terminal: asked once for what it is; signals and questions.

pub mod ask;
pub mod signals;
