//! The lab: a fleet inside the process.
