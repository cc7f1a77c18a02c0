//! Runs a plan: one executor for every kind of work, transport and report.
