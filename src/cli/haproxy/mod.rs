//! What the verbs about HAProxy share: where its sockets are, the steps of a change, and the audit log.

pub mod audit;
pub mod change;
pub mod sockets;
#[cfg(test)]
mod tests;
