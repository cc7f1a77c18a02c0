//! The terminal: asked once for what it is; signals, questions and lines.

pub mod ask;
pub mod editor;
pub mod enter;
pub mod history;
pub mod outlet;
pub mod quiet;
pub mod signals;
pub mod size;
pub mod stdin;
