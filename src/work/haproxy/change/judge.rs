//! Judges what was read back, and says what may have come in between.

use std::time::{Duration, SystemTime};

use super::{At, Change, Row};
use crate::haproxy::change::{Verdict, Wanted};
use crate::haproxy::reading::{Again, Reading};
use crate::haproxy::stat::Counters;
use crate::haproxy::state::{AdminWord, OperationalState, Server};

/// How long a server with `fall 1` must stay up to be believed: it has no state between up and down, so its
/// first `UP` proves nothing. Longer than the usual time between checks, which HAProxy does not tell.
const BELIEVED: Duration = Duration::from_secs(5);

impl Change {
    /// Whether the process is another one than the one that was seen last; it is remembered.
    pub(super) fn is_reloaded(&self, at: At<'_>, reading: &Reading) -> bool {
        let mut progress = self.locked(at.node);
        let Some(known) = progress.processes.get_mut(at.instance) else {
            return false;
        };
        let is_other = reading.info.is_other_than(known);
        *known = reading.info.clone();
        is_other
    }

    /// Judges the rows of one HAProxy by what was read, maybe of a new process.
    pub(super) fn judge(&self, at: At<'_>, reading: &Reading, is_reloaded: bool) {
        let is_same = !reading.info.is_other_than(&at.found.reading.info);
        self.with_rows(at, |rows| {
            for row in rows {
                match find(row, reading, is_same) {
                    Ok(server) => judge(row, server, reading, is_reloaded),
                    Err(why) => row.verdict = Some(Verdict::Wrong(why)),
                }
            }
        });
    }

    /// Keeps how the rows of one HAProxy are, and does not judge it.
    pub(super) fn keep(&self, at: At<'_>, reading: &Reading) {
        let is_same = !reading.info.is_other_than(&at.found.reading.info);
        self.with_rows(at, |rows| {
            for row in rows {
                row.after = find(row, reading, is_same).ok().cloned();
            }
        });
    }
}

/// The server of a row in a reading, or what became of it.
fn find<'a>(
    row: &mut Row,
    reading: &'a Reading,
    is_same_process: bool,
) -> Result<&'a Server, String> {
    row.at = Some(SystemTime::now());
    row.after = None;
    match reading.again(&row.before, is_same_process) {
        Again::There(server) => Ok(server),
        Again::Renamed(server) => Err(format!("called {} now", server.name)),
        Again::Replaced => Err("another server of that name now".to_owned()),
        Again::Gone => Err("gone from the configuration".to_owned()),
    }
}

fn judge(row: &mut Row, server: &Server, reading: &Reading, is_reloaded: bool) {
    let counters = reading.counters(&row.before.name);
    let mut verdict = row.stage.judge(server, counters);
    if verdict == Verdict::Done && is_only_supposed(row, counters) {
        verdict = Verdict::Settling("UP, not checked long enough".to_owned());
    }
    if let Verdict::Wrong(what) = &mut verdict
        && !row.stage.is_set(server)
    {
        *what = story(row, server, is_reloaded);
    }
    row.held |= verdict == Verdict::Done;
    row.after = Some(server.clone());
    row.verdict = Some(verdict);
}

/// Whether HAProxy only supposes a server to be up, because it was down or in maintenance until now.
fn is_only_supposed(row: &Row, counters: Option<&Counters>) -> bool {
    let is_quick = counters.is_some_and(Counters::is_quick_to_judge);
    row.stage == Wanted::State(AdminWord::Ready)
        && row.before.operational != OperationalState::Running
        && is_quick
        && row.since.is_some_and(|since| since.elapsed() < BELIEVED)
}

/// How it came that a server is not as it was told.
fn story(row: &Row, now: &Server, is_reloaded: bool) -> String {
    let shown = row.stage.shown(now);
    let is_as_before = row.wanted.back(&row.before).is_set(now);
    if is_reloaded && (row.held || row.is_touched()) {
        return format!("{shown}: HAProxy was reloaded and has forgotten the change");
    }
    if now.agent.is_on() && (row.held || row.is_touched()) {
        return format!("{shown}: its agent check, or another operator, set it so");
    }
    match (row.held, is_as_before) {
        (true, _) => format!("{shown}: it was as wanted, and another operator set it so"),
        (false, true) if row.is_touched() => {
            format!("{shown}: HAProxy accepted the change and did not make it")
        }
        (false, true) => shown,
        (false, false) => format!("{shown}: another operator set it so meanwhile"),
    }
}
