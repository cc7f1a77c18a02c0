//! A change, without the doing: which rows need it, whether the guard lets it pass, what proves it, and how
//! it is taken back.

use super::command::{Command, Weight};
use super::guard::{self, Emptied};
use super::name::ServerName;
use super::reading::Reading;
use super::stat::Counters;
use super::state::{AdminWord, Server};

/// What servers shall be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// In service, out of it, or without new clients.
    State(AdminWord),
    /// The same for what is not out further already.
    AtLeast(AdminWord),
    /// Of another weight.
    Weight(Weight),
}

/// How far a server is from what was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is as wanted, beyond doubt.
    Done,
    /// It is in service, and its health is not proven (yet). The status says how it stands.
    Settling(String),
    /// It is something else.
    Wrong(String),
}

impl Wanted {
    /// The command that makes a server so.
    #[must_use]
    pub fn command(self, server: &ServerName) -> Command {
        match self {
            Self::State(word) | Self::AtLeast(word) => Command::SetState(server.clone(), word),
            Self::Weight(weight) => Command::SetWeight(server.clone(), weight),
        }
    }

    /// Whether a server was told so already, so that nothing need be written.
    #[must_use]
    pub fn is_set(self, server: &Server) -> bool {
        match self {
            Self::State(word) => server.admin.forced() == word,
            Self::AtLeast(word) => server.admin.forced() >= word,
            Self::Weight(weight) => server.weight == weight.of(server.initial_weight),
        }
    }

    /// Whether a server takes no new clients any more once it is so.
    #[must_use]
    pub fn takes_out(self, server: &Server) -> bool {
        match self {
            Self::State(word) | Self::AtLeast(word) => word != AdminWord::Ready,
            Self::Weight(weight) => weight.of(server.initial_weight) == 0,
        }
    }

    /// Whether a server is out further than wanted, and stays so.
    #[must_use]
    pub fn is_exceeded(self, server: &Server) -> bool {
        matches!(self, Self::AtLeast(word) if server.admin.forced() > word)
    }

    /// Whether a part of its weight was asked for, and that part comes to nothing.
    #[must_use]
    pub fn rounds_to_nothing(self, server: &Server) -> bool {
        match self {
            Self::Weight(Weight::Percent(percent)) => percent > 0 && self.takes_out(server),
            Self::Weight(Weight::Absolute(_)) | Self::State(_) | Self::AtLeast(_) => false,
        }
    }

    /// What gives a server back what it had.
    #[must_use]
    pub fn back(self, before: &Server) -> Self {
        match self {
            Self::State(_) | Self::AtLeast(_) => Self::State(before.admin.forced()),
            // HAProxy itself takes no weight above 256.
            Self::Weight(_) => Self::Weight(Weight::Absolute(
                u16::try_from(before.weight).unwrap_or(256),
            )),
        }
    }

    /// How a server stands in what the change is about.
    #[must_use]
    pub fn shown(self, server: &Server) -> String {
        match self {
            Self::State(_) | Self::AtLeast(_) => server.words(),
            Self::Weight(_) => format!("weight {}", server.weight),
        }
    }

    /// What a server is to become.
    #[must_use]
    pub fn target(self, server: &Server) -> String {
        match self {
            Self::State(word) | Self::AtLeast(word) => word.to_string(),
            Self::Weight(weight) => format!("weight {}", weight.of(server.initial_weight)),
        }
    }

    /// Judges what was read back.
    #[must_use]
    pub fn judge(self, server: &Server, counters: Option<&Counters>) -> Verdict {
        if !self.is_set(server) {
            return Verdict::Wrong(self.shown(server));
        }
        if self != Self::State(AdminWord::Ready) {
            return Verdict::Done;
        }
        match server.admin.reason() {
            Some("resolution") => {
                Verdict::Wrong(format!("{}: its name has no address", server.words()))
            }
            Some(_) => Verdict::Wrong(format!(
                "{}: it follows {}",
                server.words(),
                counters
                    .and_then(|row| row.tracked.as_ref())
                    .map_or("another server", ServerName::as_str)
            )),
            None if server.check.is_off() => {
                Verdict::Settling("its health check is off".to_owned())
            }
            None => match counters {
                Some(row) if row.is_healthy() => Verdict::Done,
                Some(row) => Verdict::Settling(row.status.clone()),
                None => Verdict::Settling("no counters".to_owned()),
            },
        }
    }
}

/// The guard's answer for one HAProxy: the backends that lose their last usable server when these servers, by their
/// place in the reading, become as wanted.
#[must_use]
pub fn guard(reading: &Reading, rows: impl IntoIterator<Item = (usize, Wanted)>) -> Vec<Emptied> {
    let taken = rows.into_iter().filter_map(|(place, wanted)| {
        let server = reading.servers.get(place)?;
        wanted.takes_out(server).then_some((&server.name, wanted))
    });
    // A weight is a server's own; only a state is inherited.
    let (alone, followed): (Vec<_>, Vec<_>) =
        taken.partition(|(_, wanted)| matches!(wanted, Wanted::Weight(_)));
    let names = |rows: Vec<(_, Wanted)>| rows.into_iter().map(|(name, _)| name);
    let mut out = guard::with_trackers(names(followed), &reading.counters);
    out.extend(names(alone));
    guard::emptied(&reading.servers, &out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::answer::{self, Info, Level};
    use crate::haproxy::stat;
    use crate::haproxy::state::{AdminState, CheckState};

    fn server(op: u32, admin: u32, weight: u32) -> Server {
        Server {
            name: ServerName::parse("b/s").unwrap(),
            operational: op.into(),
            admin: AdminState(admin),
            weight,
            initial_weight: 10,
            backend_id: None,
            id: None,
            check: CheckState::default(),
            agent: CheckState::default(),
            check_passed: None,
            is_published: true,
            address: None,
        }
    }

    fn counters(status: &str) -> Counters {
        let text = format!(
            "# pxname,svname,type,status,scur,qcur,weight,check_status,check_fall,tracked,\n\
             b,s,2,{status},0,0,1,L7OK,2,,\n\n"
        );
        stat::rows(text.as_bytes()).unwrap().remove(0)
    }

    const READY: Wanted = Wanted::State(AdminWord::Ready);
    const MAINT: Wanted = Wanted::State(AdminWord::Maint);
    const DRAIN: Wanted = Wanted::State(AdminWord::Drain);

    #[test]
    fn ready_is_done_only_with_full_health() {
        let up = server(2, 0, 10);
        assert_eq!(READY.judge(&up, Some(&counters("UP"))), Verdict::Done);
        assert_eq!(READY.judge(&up, Some(&counters("no check"))), Verdict::Done);
        for status in ["UP 1/2", "DOWN", "DOWN 1/2", "NOLB"] {
            assert_eq!(
                READY.judge(&up, Some(&counters(status))),
                Verdict::Settling(status.to_owned())
            );
        }
        assert!(matches!(READY.judge(&up, None), Verdict::Settling(_)));
        // `disabled` in the file stays set for ever and means nothing.
        assert_eq!(
            READY.judge(&server(2, 4, 10), Some(&counters("UP"))),
            Verdict::Done
        );
    }

    #[test]
    fn what_is_inherited_cannot_be_lifted() {
        for mask in [2, 16, 32] {
            assert!(
                matches!(
                    READY.judge(&server(0, mask, 10), Some(&counters("MAINT"))),
                    Verdict::Wrong(_)
                ),
                "{mask}"
            );
        }
    }

    #[test]
    fn maintenance_must_be_forced_and_drain_gone() {
        assert_eq!(MAINT.judge(&server(0, 1, 10), None), Verdict::Done);
        assert_eq!(MAINT.judge(&server(0, 33, 10), None), Verdict::Done);
        // Out by inheritance or for want of an address: it would come back by itself.
        for mask in [0, 2, 8, 32, 40] {
            assert!(
                matches!(MAINT.judge(&server(0, mask, 10), None), Verdict::Wrong(_)),
                "{mask}"
            );
        }
        // A server that is down in drain is in drain.
        assert_eq!(
            DRAIN.judge(&server(0, 8, 10), Some(&counters("DOWN"))),
            Verdict::Done
        );
    }

    #[test]
    fn weights_are_judged_by_what_they_come_to() {
        let half = Wanted::Weight(Weight::Percent(50));
        assert!(half.is_set(&server(2, 0, 5)));
        assert!(!half.takes_out(&server(2, 0, 10)));
        assert!(Wanted::Weight(Weight::Percent(9)).takes_out(&server(2, 0, 10)));
        assert!(matches!(
            half.judge(&server(2, 0, 10), None),
            Verdict::Wrong(_)
        ));
    }

    #[test]
    fn the_guard_looks_at_the_reading() {
        let servers = answer::servers(include_bytes!(
            "../../tests/recorded/haproxy/servers-state.txt"
        ));
        let counters = stat::rows(include_bytes!("../../tests/recorded/haproxy/stat.txt"));
        let reading = Reading::new(
            Level::Admin,
            Info::default(),
            servers.unwrap(),
            counters.unwrap(),
        );
        let at = |name: &str| {
            reading
                .servers
                .iter()
                .position(|s| s.name.as_str() == name)
                .unwrap()
        };
        let last = at("i0_puppet_masters/puppet-i0-svc2");
        for (wanted, emptied) in [
            (MAINT, 1),
            (DRAIN, 1),
            (Wanted::AtLeast(AdminWord::Drain), 1),
            (Wanted::Weight(Weight::Absolute(0)), 1),
            // Half of 1 is 0.
            (Wanted::Weight(Weight::Percent(50)), 1),
            (Wanted::Weight(Weight::Absolute(1)), 0),
            (READY, 0),
        ] {
            assert_eq!(
                guard(&reading, [(last, wanted)]).len(),
                emptied,
                "{wanted:?}"
            );
        }
    }

    #[test]
    fn the_way_back_gives_what_was_there() {
        let before = server(2, 8, 10);
        for (wanted, back) in [
            (MAINT, "set server b/s state drain"),
            (
                Wanted::AtLeast(AdminWord::Drain),
                "set server b/s state drain",
            ),
            (
                Wanted::Weight(Weight::Absolute(0)),
                "set server b/s weight 10",
            ),
        ] {
            let command = wanted.back(&before).command(&before.name);
            assert_eq!(command.to_string(), back);
        }
    }

    #[test]
    fn what_is_out_further_is_left_there() {
        let drain = Wanted::AtLeast(AdminWord::Drain);
        let (ready, drained, out) = (server(2, 0, 10), server(2, 8, 10), server(0, 1, 10));
        assert!(!drain.is_set(&ready) && drain.is_set(&drained) && drain.is_set(&out));
        assert!(!drain.is_exceeded(&drained) && drain.is_exceeded(&out));
        assert!(!DRAIN.is_set(&out) && !DRAIN.is_exceeded(&out));
        assert_eq!(drain.judge(&out, None), Verdict::Done);
    }

    #[test]
    fn a_part_that_comes_to_nothing_is_known() {
        let half = Wanted::Weight(Weight::Percent(50));
        let mut one = server(2, 0, 1);
        one.initial_weight = 1;
        assert!(half.rounds_to_nothing(&one) && !half.rounds_to_nothing(&server(2, 0, 10)));
        assert!(!Wanted::Weight(Weight::Percent(0)).rounds_to_nothing(&one));
        assert!(!Wanted::Weight(Weight::Absolute(0)).rounds_to_nothing(&one));
    }

    /// A check that is off says nothing about health, though HAProxy counts the server as well.
    #[test]
    fn a_check_that_is_off_proves_nothing() {
        let mut dynamic = server(2, 0, 10);
        dynamic.check = CheckState(2);
        assert!(matches!(
            READY.judge(&dynamic, Some(&counters("no check"))),
            Verdict::Settling(_)
        ));
        dynamic.check = CheckState(6);
        assert_eq!(READY.judge(&dynamic, Some(&counters("UP"))), Verdict::Done);
    }
}
