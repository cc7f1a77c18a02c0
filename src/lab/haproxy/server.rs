//! A server of the lab: what is set for it, and its health as the checks find it.

use std::time::Duration;

use super::layout::{Member, Mode, ORIGINS};
use crate::haproxy::command::Weight;
use crate::haproxy::state::{AdminState, AdminWord, OperationalState};

/// How the machine behind a server's name answers checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Condition {
    /// As it should.
    #[default]
    Well,
    /// Nothing listens on its port.
    Refused,
    /// With an error of its own: status 503.
    Sick,
}

/// The weight in the file, for every server of the lab.
pub(super) const INITIAL_WEIGHT: u32 = 1;
/// `inter`, and `fastinter` while the health is on its way up or down.
const INTERVAL: Duration = Duration::from_millis(300);
const FAST: Duration = Duration::from_millis(150);
/// `rise` and `fall`.
pub(super) const RISE: u32 = 2;
pub(super) const FALL: u32 = 2;
/// Beyond doubt.
const TOP: u32 = RISE + FALL - 1;

/// What the last check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Check {
    /// `srv_check_status` and `srv_check_result` of `show servers state`.
    pub(super) status: u32,
    pub(super) result: u32,
    /// The columns `check_status`, `check_code`, `last_chk`, `check_desc` of `show stat`.
    pub(super) word: &'static str,
    pub(super) code: &'static str,
    pub(super) said: &'static str,
    pub(super) meaning: &'static str,
}

const L7_OK: Check = Check {
    status: 15,
    result: 3,
    word: "L7OK",
    code: "200",
    said: "",
    meaning: "Layer7 check passed",
};
const L4_OK: Check = Check {
    status: 6,
    result: 3,
    word: "L4OK",
    code: "",
    said: "",
    meaning: "Layer4 check passed",
};
const L4_FAILED: Check = Check {
    status: 8,
    result: 2,
    word: "L4CON",
    code: "",
    said: "Connection refused",
    meaning: "Layer4 connection problem",
};
const L7_FAILED: Check = Check {
    status: 17,
    result: 2,
    word: "L7STS",
    code: "503",
    said: "Service Unavailable",
    meaning: "Layer7 wrong status",
};
const NOT_YET: Check = Check {
    status: 1,
    result: 0,
    word: "INI",
    code: "",
    said: "",
    meaning: "Initializing",
};

/// A server at work.
#[derive(Debug, Clone)]
pub(super) struct Server {
    member: &'static Member,
    pub(super) admin: AdminState,
    pub(super) running: bool,
    pub(super) weight: u32,
    pub(super) health: u32,
    pub(super) checked: Check,
    pub(super) next_check: Duration,
    /// Failed checks while it was up, and how often it went down.
    pub(super) failures: u32,
    pub(super) downs: u32,
    pub(super) changed: Duration,
    downtime: Duration,
    pub(super) sessions: u64,
    pub(super) most_sessions: u64,
    pub(super) all_sessions: u64,
}

impl Server {
    pub(super) fn new(member: &'static Member, mode: Mode, now: Duration) -> Self {
        Self {
            member,
            admin: AdminState(0),
            running: true,
            weight: INITIAL_WEIGHT,
            health: TOP,
            checked: passed(mode),
            next_check: now + INTERVAL,
            failures: 0,
            downs: 0,
            changed: now,
            downtime: Duration::ZERO,
            sessions: 0,
            most_sessions: 0,
            all_sessions: 0,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        ORIGINS[self.member.origin]
    }

    pub(super) fn member(&self) -> &'static Member {
        self.member
    }

    pub(super) fn origin(&self) -> usize {
        self.member.origin
    }

    pub(super) fn operational(&self) -> u32 {
        if self.running { 2 } else { 0 }
    }

    pub(super) fn is_usable(&self) -> bool {
        OperationalState::from(self.operational()).takes_work()
            && self.admin.word() == AdminWord::Ready
            && self.weight > 0
    }

    /// As after a start or after maintenance: up, with no check to prove it.
    pub(super) fn suppose_up(&mut self, now: Duration) {
        self.running = true;
        self.health = RISE;
        self.checked = NOT_YET;
        self.next_check = now + FAST;
    }

    pub(super) fn set_sessions(&mut self, sessions: u64) {
        self.all_sessions += sessions.saturating_sub(self.sessions);
        self.sessions = sessions;
        self.most_sessions = self.most_sessions.max(sessions);
    }

    /// `set server ... state`.
    pub(super) fn set_state(&mut self, word: AdminWord, now: Duration) {
        let before = self.admin.word();
        if before == word {
            return;
        }
        self.admin = AdminState(match word {
            AdminWord::Ready => 0,
            AdminWord::Drain => AdminState::FORCED_DRAIN,
            AdminWord::Maint => AdminState::FORCED_MAINT,
        });
        if word == AdminWord::Maint {
            self.stop();
            self.health = 0;
            self.next_check = Duration::MAX;
        } else if before == AdminWord::Maint {
            self.start(now);
            self.health = RISE;
            self.next_check = now + FAST;
        }
        self.changed = now;
    }

    /// One check, and when the next is due. A server whose health cannot change any more needs no checks for
    /// the time since it was last looked at.
    pub(super) fn check(&mut self, condition: Condition, mode: Mode, now: Duration) {
        let at = self.next_check;
        let found = match (condition, mode) {
            // A TCP check is content with the connection.
            (Condition::Well, _) | (Condition::Sick, Mode::Tcp) => passed(mode),
            (Condition::Refused, _) => L4_FAILED,
            (Condition::Sick, Mode::Http) => L7_FAILED,
        };
        let well = found.result == L7_OK.result;
        self.checked = found;
        let before = self.health;
        if well {
            self.health = (self.health + 1).min(TOP);
            if self.health >= RISE {
                self.health = TOP;
            }
            if before < RISE && self.health >= RISE {
                self.start(at);
                self.changed = at;
            }
        } else if before > RISE {
            self.failures += 1;
            self.health -= 1;
        } else if before > 0 {
            self.failures += u32::from(before == RISE);
            self.health = 0;
            if before == RISE {
                self.stop();
                self.changed = at;
            }
        }
        let settled = self.health == before && (self.health == TOP || self.health == 0);
        self.next_check = if settled {
            let missed = now.saturating_sub(at).as_nanos() / INTERVAL.as_nanos();
            at + INTERVAL * u32::try_from(missed + 1).unwrap_or(u32::MAX)
        } else if self.health == TOP || self.health == 0 {
            at + INTERVAL
        } else {
            at + FAST
        };
    }

    fn stop(&mut self) {
        self.downs += u32::from(self.running);
        self.running = false;
    }

    fn start(&mut self, now: Duration) {
        if !self.running {
            self.downtime += now.saturating_sub(self.changed);
        }
        self.running = true;
    }

    pub(super) fn downtime(&self, now: Duration) -> Duration {
        if self.running {
            self.downtime
        } else {
            self.downtime + now.saturating_sub(self.changed)
        }
    }

    /// The column `status` of `show stat`.
    pub(super) fn status(&self) -> String {
        if self.admin.word() == AdminWord::Maint {
            return "MAINT".to_owned();
        }
        match (self.running, self.health) {
            (true, TOP) if self.admin.word() == AdminWord::Drain => "DRAIN".to_owned(),
            (true, TOP) => "UP".to_owned(),
            // The fraction counts what is left above, or has been won of, the way to the other state.
            (true, health) => {
                let word = if self.admin.word() == AdminWord::Drain {
                    "DRAIN"
                } else {
                    "UP"
                };
                format!("{word} {}/{FALL}", health + 1 - RISE)
            }
            (false, 0) => "DOWN".to_owned(),
            (false, health) => format!("DOWN {health}/{RISE}"),
        }
    }

    /// `srv_check_state`: configured and enabled, and paused in maintenance.
    pub(super) fn check_state(&self) -> u32 {
        if self.admin.word() == AdminWord::Maint {
            14
        } else {
            6
        }
    }
}

fn passed(mode: Mode) -> Check {
    match mode {
        Mode::Http => L7_OK,
        Mode::Tcp => L4_OK,
    }
}

/// Reads a weight as HAProxy does, and refuses in its words.
pub(super) fn weight(text: &str) -> Result<Weight, &'static str> {
    if text.is_empty() {
        return Err("Require <weight> or <weight%>.\n\n");
    }
    let (digits, percent) = match text.strip_suffix('%') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let end = digits
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_digit() || (*at == 0 && matches!(c, '-' | '+'))))
        .map_or(digits.len(), |(at, _)| at);
    let Ok(number) = digits[..end].parse::<i64>() else {
        return Err("Empty weight string empty or preceded by garbage\n");
    };
    if end < digits.len() {
        return Err("Trailing garbage in weight string\n");
    }
    match (percent, u16::try_from(number)) {
        (true, Ok(number)) => Ok(Weight::Percent(number)),
        (true, Err(_)) if number < 0 => Err("Relative weight must be positive.\n\n"),
        (true, Err(_)) => Ok(Weight::Percent(u16::MAX)),
        (false, Ok(number)) if number <= 256 => Ok(Weight::Absolute(number)),
        (false, _) => Err("Absolute weight can only be between 0 and 256 inclusive.\n\n"),
    }
}
