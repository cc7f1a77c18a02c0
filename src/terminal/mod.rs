//! The terminal: asked once for what it is; signals and questions.

pub mod ask;
pub mod enter;
pub mod signals;
pub mod size;
pub mod stdin;
