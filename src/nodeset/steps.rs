//! How much was done, counted in tests, which hold it to the size of the input. Elsewhere nothing is counted.

#[cfg(test)]
thread_local! {
    static DONE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// So many characters, spans or names were looked at.
#[cfg(test)]
pub(super) fn count(steps: usize) {
    DONE.set(DONE.get() + steps);
}

/// So many characters, spans or names were looked at.
#[cfg(not(test))]
pub(super) const fn count(_: usize) {}

/// How many steps it takes.
#[cfg(test)]
pub(super) fn of<T>(work: impl FnOnce() -> T) -> usize {
    let before = DONE.get();
    let _done = work();
    DONE.get() - before
}
