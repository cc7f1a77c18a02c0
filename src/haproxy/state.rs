//! The states of a server: the operational one is a choice, the administrative one a mask
//! (HAProxy management guide, `show servers state`).

use std::fmt;

use super::name::ServerName;

/// What a server is able to do: `srv_op_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationalState {
    /// 0: it takes no traffic.
    Stopped,
    /// 1: it is warming up (`slowstart`).
    Starting,
    /// 2: it takes traffic.
    Running,
    /// 3: its check asks for no new work (`http-check disable-on-404`).
    Stopping,
    /// A number that no HAProxy we know of prints.
    Unknown(u32),
}

impl OperationalState {
    /// Whether it can be given new work.
    #[must_use]
    pub fn takes_work(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

impl From<u32> for OperationalState {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Stopped,
            1 => Self::Starting,
            2 => Self::Running,
            3 => Self::Stopping,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for OperationalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("STOPPED"),
            Self::Starting => f.write_str("STARTING"),
            Self::Running => f.write_str("RUNNING"),
            Self::Stopping => f.write_str("STOPPING"),
            Self::Unknown(number) => write!(f, "UNKNOWN({number})"),
        }
    }
}

/// What was decided about a server: `srv_admin_state`, a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AdminState(pub u32);

impl AdminState {
    /// Forced maintenance: by the CLI, or `disabled` in the file.
    pub const FORCED_MAINT: u32 = 0x01;
    /// Maintenance of the server it tracks.
    pub const INHERITED_MAINT: u32 = 0x02;
    /// It was `disabled` in the file. Stays set for ever and means nothing by itself.
    pub const CONFIGURED_MAINT: u32 = 0x04;
    /// Forced drain.
    pub const FORCED_DRAIN: u32 = 0x08;
    /// Drain of the server it tracks.
    pub const INHERITED_DRAIN: u32 = 0x10;
    /// Its name has no address.
    pub const UNRESOLVED: u32 = 0x20;

    fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// The mask in one word.
    #[must_use]
    pub fn word(self) -> AdminWord {
        if self.has(Self::FORCED_MAINT | Self::INHERITED_MAINT | Self::UNRESOLVED) {
            AdminWord::Maint
        } else if self.has(Self::FORCED_DRAIN | Self::INHERITED_DRAIN) {
            AdminWord::Drain
        } else {
            AdminWord::Ready
        }
    }

    /// Why it is not `READY`, when it is not.
    #[must_use]
    pub fn reason(self) -> Option<&'static str> {
        if self.has(Self::UNRESOLVED) {
            Some("resolution")
        } else if self.has(Self::INHERITED_MAINT) {
            Some("inherited")
        } else if self.has(Self::FORCED_MAINT) {
            Some(if self.has(Self::CONFIGURED_MAINT) {
                "config"
            } else {
                "forced"
            })
        } else if self.has(Self::FORCED_DRAIN) {
            Some("forced")
        } else if self.has(Self::INHERITED_DRAIN) {
            Some("inherited")
        } else {
            None
        }
    }

    /// Whether it is out only because its name has no address, by nobody's act.
    #[must_use]
    pub fn is_unresolved(self) -> bool {
        self.has(Self::UNRESOLVED)
            && !self.has(
                Self::FORCED_MAINT
                    | Self::INHERITED_MAINT
                    | Self::FORCED_DRAIN
                    | Self::INHERITED_DRAIN,
            )
    }

    /// What `set server ... state` last said about it.
    #[must_use]
    pub fn forced(self) -> AdminWord {
        if self.has(Self::FORCED_MAINT) {
            AdminWord::Maint
        } else if self.has(Self::FORCED_DRAIN) {
            AdminWord::Drain
        } else {
            AdminWord::Ready
        }
    }
}

/// An administrative state in one word, as `set server ... state` takes it.
/// The order is that of being out: what is out further takes fewer clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdminWord {
    /// In service.
    Ready,
    /// No new clients.
    Drain,
    /// Out of service.
    Maint,
}

impl AdminWord {
    /// As HAProxy's command line spells it.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }
}

impl fmt::Display for AdminWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "READY",
            Self::Drain => "DRAIN",
            Self::Maint => "MAINT",
        })
    }
}

/// A row of `show servers state`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// Backend and server.
    pub name: ServerName,
    /// What it is able to do.
    pub operational: OperationalState,
    /// What was decided about it.
    pub admin: AdminState,
    /// Its weight now, as an operator or an agent set it.
    pub weight: u32,
    /// Its weight in the file, the whole of `100%`.
    pub initial_weight: u32,
    /// The number of its backend.
    pub backend_id: Option<u32>,
    /// Its number within the backend.
    pub id: Option<u32>,
    /// Its health check: `srv_check_state`.
    pub check: CheckState,
    /// Its agent check: `srv_agent_state`.
    pub agent: CheckState,
    /// Whether its last health check passed, be it with conditions; `None` if it says neither, as while another one
    /// goes on: `srv_check_result`.
    pub check_passed: Option<bool>,
    /// Whether its backend takes clients at all. `show servers state` does not tell: see
    /// [`unpublish`](super::usable::unpublish).
    pub is_published: bool,
    /// Its address and port; `None` when it has none, as while its name is not resolved.
    pub address: Option<String>,
}

/// What a check does: `srv_check_state` and `srv_agent_state`, a mask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CheckState(pub u32);

impl CheckState {
    /// The configuration has it.
    pub const CONFIGURED: u32 = 0x02;
    /// It runs, or would if the server were not in maintenance.
    pub const ENABLED: u32 = 0x04;

    /// Whether there is one, and it is on.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.0 & (Self::CONFIGURED | Self::ENABLED) == Self::CONFIGURED | Self::ENABLED
    }

    /// Whether there is one, and it is off, as that of a server added at run time.
    #[must_use]
    pub fn is_off(self) -> bool {
        self.0 & Self::CONFIGURED != 0 && self.0 & Self::ENABLED == 0
    }
}

impl Server {
    /// Its numbers, by which the same process knows it whatever it is called; a reload may give them to another one.
    #[must_use]
    pub fn ids(&self) -> Option<(u32, u32)> {
        Some((self.backend_id?, self.id?))
    }

    /// Both states, such as `STOPPED/MAINT`.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{}/{}", self.operational, self.admin.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every mask seen on real servers, with its word and its reason.
    #[test]
    fn masks_have_one_word() {
        for (mask, word, reason) in [
            (0, AdminWord::Ready, None),
            (1, AdminWord::Maint, Some("forced")),
            (2, AdminWord::Maint, Some("inherited")),
            (4, AdminWord::Ready, None),
            (5, AdminWord::Maint, Some("config")),
            (8, AdminWord::Drain, Some("forced")),
            (12, AdminWord::Drain, Some("forced")),
            (16, AdminWord::Drain, Some("inherited")),
            (32, AdminWord::Maint, Some("resolution")),
            (33, AdminWord::Maint, Some("resolution")),
            (40, AdminWord::Maint, Some("resolution")),
            (64, AdminWord::Ready, None),
        ] {
            assert_eq!(AdminState(mask).word(), word, "{mask}");
            assert_eq!(AdminState(mask).reason(), reason, "{mask}");
        }
        assert!(AdminState(32).is_unresolved());
        assert!(!AdminState(33).is_unresolved());
    }

    /// The masks of checks seen on real servers.
    #[test]
    fn checks_are_on_off_or_not_there() {
        for (mask, on, off) in [
            (0, false, false),
            (2, false, true),
            (6, true, false),
            (7, true, false),
            (14, true, false),
            (18, false, true),
            (22, true, false),
            (23, true, false),
        ] {
            let check = CheckState(mask);
            assert_eq!((check.is_on(), check.is_off()), (on, off), "{mask}");
        }
    }

    #[test]
    fn drain_is_between_ready_and_maintenance() {
        assert!(AdminWord::Ready < AdminWord::Drain && AdminWord::Drain < AdminWord::Maint);
    }

    #[test]
    fn an_unknown_number_keeps_its_number() {
        assert_eq!(OperationalState::from(7).to_string(), "UNKNOWN(7)");
        assert!(!OperationalState::from(7).takes_work());
    }
}
