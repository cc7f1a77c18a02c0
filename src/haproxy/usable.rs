//! Whether a server is usable, and if not, why: the one answer that `status`, the guard of changes, exit codes and JSON
//! go by.

use std::collections::BTreeSet;
use std::fmt;

use super::state::{AdminWord, OperationalState, Server};

/// Why a server is not simply in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// It is in maintenance or in drain, for this reason in one word ([`AdminState::reason`](super::state::AdminState::reason)).
    Administrative(&'static str),
    /// Its health check holds it down.
    Check,
    /// Its agent holds it down.
    Agent,
    /// It is down, and the states do not tell by what, as when the server that it tracks is.
    Down,
    /// Its check asks for no new clients (`http-check disable-on-404`).
    Stopping,
    /// It warms up (`slowstart`): it is usable, and not yet as it shall be.
    Starting,
    /// Its backend takes no clients (`unpublish backend`, since HAProxy 3.5).
    Unpublished,
    /// It is up, and its weight gives it no clients.
    Weight,
    /// Its operational state is a number that we do not know.
    Unknown,
}

impl Fault {
    /// Each as one word, except those of the administrative state.
    pub const WORDS: [&'static str; 8] = [
        "check",
        "agent",
        "down",
        "stopping",
        "starting",
        "unpublished",
        "weight 0",
        "unknown",
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let at = match self {
            Self::Administrative(reason) => return reason,
            Self::Check => 0,
            Self::Agent => 1,
            Self::Down => 2,
            Self::Stopping => 3,
            Self::Starting => 4,
            Self::Unpublished => 5,
            Self::Weight => 6,
            Self::Unknown => 7,
        };
        Self::WORDS[at]
    }

    /// Whether the server is given new clients all the same.
    #[must_use]
    pub fn is_usable(self) -> bool {
        self == Self::Starting
    }

    /// Whether `RUNNING/READY` alone would hide it.
    #[must_use]
    pub fn is_hidden(self) -> bool {
        matches!(self, Self::Unpublished | Self::Weight)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Server {
    /// What is amiss with it; `None` if it is in service and given clients. Of several reasons the one that has to be
    /// lifted first.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        if self.admin.word() != AdminWord::Ready {
            return Some(Fault::Administrative(
                self.admin.reason().unwrap_or("forced"),
            ));
        }
        match self.operational {
            OperationalState::Stopped => Some(self.held_down_by()),
            OperationalState::Stopping => Some(Fault::Stopping),
            OperationalState::Unknown(_) => Some(Fault::Unknown),
            OperationalState::Starting | OperationalState::Running if !self.is_published => {
                Some(Fault::Unpublished)
            }
            OperationalState::Starting | OperationalState::Running if self.weight == 0 => {
                Some(Fault::Weight)
            }
            OperationalState::Starting => Some(Fault::Starting),
            OperationalState::Running => None,
        }
    }

    /// Whether new clients may be sent to it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.fault().is_none_or(Fault::is_usable)
    }

    /// What holds a server down that nobody has taken out.
    fn held_down_by(&self) -> Fault {
        match (self.check.is_on(), self.agent.is_on()) {
            (true, true) => match self.check_passed {
                Some(true) => Fault::Agent,
                Some(false) => Fault::Check,
                None => Fault::Down,
            },
            (true, false) => Fault::Check,
            (false, true) => Fault::Agent,
            (false, false) => Fault::Down,
        }
    }
}

/// Which servers are meant by a word about their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateWord {
    /// Those with this operational state.
    Operational(OperationalState),
    /// Those with this administrative state.
    Administrative(AdminWord),
    /// Those with both.
    Both(OperationalState, AdminWord),
    /// Those that run or warm up, whatever was decided about them.
    Up,
    /// Those that do not, though nobody has put them into maintenance.
    Down,
    /// Those that are given new clients.
    Usable,
    /// Those that are not.
    Unusable,
}

impl StateWord {
    /// Whether a server is meant.
    #[must_use]
    pub fn holds(self, server: &Server) -> bool {
        let (operational, admin) = (server.operational, server.admin.word());
        match self {
            Self::Operational(word) => word == operational,
            Self::Administrative(word) => word == admin,
            Self::Both(one, other) => (one, other) == (operational, admin),
            Self::Up => operational.takes_work(),
            Self::Down => !operational.takes_work() && admin != AdminWord::Maint,
            Self::Usable => server.is_usable(),
            Self::Unusable => !server.is_usable(),
        }
    }
}

/// A word that is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no state; there are running, starting, stopping, stopped; ready, drain, maint; both as in stopped/maint; up, down, usable, unusable"
)]
pub struct NoState(String);

impl std::str::FromStr for StateWord {
    type Err = NoState;

    fn from_str(text: &str) -> Result<Self, NoState> {
        let lower = text.to_ascii_lowercase();
        let operational = |word: &str| {
            Some(match word {
                "running" => OperationalState::Running,
                "starting" => OperationalState::Starting,
                "stopping" => OperationalState::Stopping,
                "stopped" => OperationalState::Stopped,
                _ => return None,
            })
        };
        let admin = |word: &str| {
            let words = [AdminWord::Ready, AdminWord::Drain, AdminWord::Maint];
            words.into_iter().find(|known| known.keyword() == word)
        };
        let word = match lower.as_str() {
            "up" => Some(Self::Up),
            "down" => Some(Self::Down),
            "usable" => Some(Self::Usable),
            "unusable" => Some(Self::Unusable),
            word => match word.split_once('/') {
                Some((one, other)) => operational(one)
                    .zip(admin(other))
                    .map(|(one, other)| Self::Both(one, other)),
                None => operational(word)
                    .map(Self::Operational)
                    .or_else(|| admin(word).map(Self::Administrative)),
            },
        };
        word.ok_or_else(|| NoState(text.to_owned()))
    }
}

/// Marks the servers of backends that take no clients.
pub fn unpublish(servers: &mut [Server], unpublished: &BTreeSet<String>) {
    if unpublished.is_empty() {
        return;
    }
    for server in servers {
        server.is_published = !unpublished.contains(server.name.backend());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::answer;

    fn server(row: &str) -> Server {
        let header = "1\n# be_id be_name srv_name srv_op_state srv_admin_state srv_uweight srv_iweight srv_check_result \
            srv_check_state srv_agent_state\n";
        let answer = format!("{header}3 b s {row}\n\n");
        answer::servers(answer.as_bytes()).unwrap().remove(0)
    }

    /// Each row: operational and administrative state, both weights, the check's result, and the two masks of checks.
    #[test]
    fn each_row_has_its_reason() {
        for (row, reason, is_usable) in [
            ("2 0 1 1 3 6 0", None, true),
            ("2 0 1 1 0 0 0", None, true),
            ("2 4 1 1 3 6 0", None, true),
            ("0 1 1 1 0 14 0", Some("forced"), false),
            ("0 5 1 1 0 14 0", Some("config"), false),
            ("0 2 1 1 0 0 0", Some("inherited"), false),
            ("0 32 1 1 0 14 0", Some("resolution"), false),
            ("2 8 1 1 3 6 0", Some("forced"), false),
            ("2 16 1 1 3 6 0", Some("inherited"), false),
            // Down by the check, also when that is passing again but not often enough yet.
            ("0 0 1 1 2 6 0", Some("check"), false),
            ("0 0 1 1 3 6 0", Some("check"), false),
            ("0 0 1 1 2 6 22", Some("check"), false),
            ("0 0 1 1 3 6 22", Some("agent"), false),
            ("0 0 1 1 4 6 22", Some("agent"), false),
            ("0 0 1 1 0 0 22", Some("agent"), false),
            // While a check goes on its result is not known.
            ("0 0 1 1 0 7 22", Some("down"), false),
            ("0 0 1 1 0 7 0", Some("check"), false),
            // It tracks a server that is down: it has no check of its own.
            ("0 0 1 1 0 0 0", Some("down"), false),
            ("0 0 0 1 2 6 0", Some("check"), false),
            ("3 0 1 1 4 6 0", Some("stopping"), false),
            ("1 0 1 1 3 6 0", Some("starting"), true),
            ("1 0 0 1 3 6 0", Some("weight 0"), false),
            ("2 0 0 1 3 6 0", Some("weight 0"), false),
            ("2 8 0 1 3 6 0", Some("forced"), false),
            ("7 0 1 1 3 6 0", Some("unknown"), false),
        ] {
            let server = server(row);
            assert_eq!(server.fault().map(Fault::as_str), reason, "{row}");
            assert_eq!(server.is_usable(), is_usable, "{row}");
        }
    }

    #[test]
    fn words_select_by_state() {
        let rows = [
            "2 0 1 1", "1 0 1 1", "0 0 1 1", "0 8 1 1", "0 1 1 1", "2 8 1 1", "2 0 0 1",
        ];
        let servers = rows.map(|row| server(&format!("{row} 0 0 0")));
        let met = |word: &str| {
            let word: StateWord = word.parse().unwrap();
            let marks = servers
                .iter()
                .map(|server| if word.holds(server) { 'x' } else { '-' });
            marks.collect::<String>()
        };
        for (word, meant) in [
            ("RUNNING", "x----xx"),
            ("starting", "-x-----"),
            ("Stopped", "--xxx--"),
            ("ready", "xxx---x"),
            ("drain", "---x-x-"),
            ("MAINT", "----x--"),
            ("STOPPED/DRAIN", "---x---"),
            ("running/ready", "x-----x"),
            ("up", "xx---xx"),
            ("down", "--xx---"),
            ("usable", "xx-----"),
            ("unusable", "--xxxxx"),
        ] {
            assert_eq!(met(word), meant, "{word}");
        }
        for word in ["", "/", "run", "maint/stopped", "ready/", "stopped/maint/x"] {
            assert!(word.parse::<StateWord>().is_err(), "{word}");
        }
    }

    #[test]
    fn a_backend_that_is_not_published_has_no_usable_server() {
        let mut servers = [server("2 0 1 1 3 6 0"), server("0 1 1 1 3 6 0")];
        unpublish(&mut servers, &BTreeSet::from(["other".to_owned()]));
        assert!(servers[0].is_usable());
        unpublish(&mut servers, &BTreeSet::from(["b".to_owned()]));
        let faults = servers.map(|server| server.fault().map(Fault::as_str));
        assert_eq!(faults, [Some("unpublished"), Some("forced")]);
    }
}
