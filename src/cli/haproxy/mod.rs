//! What the verbs about HAProxy share: where its sockets are, and what is said of a change.

pub mod notes;
pub mod sockets;
