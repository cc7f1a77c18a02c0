//! Node sets: parse, evaluate, fold.
