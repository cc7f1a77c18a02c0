//! Group sources: where named node sets come from.
