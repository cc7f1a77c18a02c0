//! Services: the graph of what depends on what, and the walk through it. Pure; the engine acts.
