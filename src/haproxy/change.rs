//! A change, without the doing: which rows need it, whether the guard lets it pass, what proves it, and how
//! it is taken back.

use super::answer::{self, AnswerError, Info, Level};
use super::command::{Command, Weight};
use super::guard::{self, Emptied};
use super::name::ServerName;
use super::stat::{self, Counters};
use super::state::{AdminWord, Server};

/// What servers shall be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// In service, out of it, or without new clients.
    State(AdminWord),
    /// Of another weight.
    Weight(Weight),
}

/// All that was read of one HAProxy at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What the socket allows.
    pub level: Level,
    /// The process.
    pub info: Info,
    /// The servers, in the order of the configuration.
    pub servers: Vec<Server>,
    /// Their counters.
    pub counters: Vec<Counters>,
}

impl Reading {
    /// Reads the answer to [`Command::Reading`].
    ///
    /// # Errors
    /// When a part of it is anything else or not whole.
    pub fn parse(answer: &[u8]) -> Result<Self, AnswerError> {
        let [level, info, servers, counters] = answer::parts(answer)?;
        Ok(Self {
            level: answer::level(level)?,
            info: answer::info(info)?,
            servers: answer::servers(servers)?,
            counters: stat::rows(counters)?,
        })
    }

    /// The server of that name.
    #[must_use]
    pub fn server(&self, name: &ServerName) -> Option<&Server> {
        self.servers.iter().find(|server| server.name == *name)
    }

    /// The counters of that name.
    #[must_use]
    pub fn counters(&self, name: &ServerName) -> Option<&Counters> {
        self.counters.iter().find(|row| row.name == *name)
    }
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
            Self::State(word) => Command::SetState(server.clone(), word),
            Self::Weight(weight) => Command::SetWeight(server.clone(), weight),
        }
    }

    /// Whether a server was told so already, so that nothing need be written.
    #[must_use]
    pub fn is_set(self, server: &Server) -> bool {
        match self {
            Self::State(word) => server.admin.forced() == word,
            Self::Weight(weight) => server.weight == weight.of(server.initial_weight),
        }
    }

    /// Whether a server takes no new clients any more once it is so.
    #[must_use]
    pub fn takes_out(self, server: &Server) -> bool {
        match self {
            Self::State(word) => word != AdminWord::Ready,
            Self::Weight(weight) => weight.of(server.initial_weight) == 0,
        }
    }

    /// Judges what was read back.
    #[must_use]
    pub fn judge(self, server: &Server, counters: Option<&Counters>) -> Verdict {
        if !self.is_set(server) {
            return Verdict::Wrong(match self {
                Self::State(_) => server.words(),
                Self::Weight(_) => format!("weight {}", server.weight),
            });
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
            None => match counters {
                Some(row) if row.is_healthy() => Verdict::Done,
                Some(row) => Verdict::Settling(row.status.clone()),
                None => Verdict::Settling("no counters".to_owned()),
            },
        }
    }

    /// The guard's answer for one HAProxy: the backends that the change would empty there.
    #[must_use]
    pub fn guard(self, reading: &Reading, chosen: &[usize]) -> Vec<Emptied> {
        let taken: Vec<&ServerName> = chosen
            .iter()
            .filter_map(|index| reading.servers.get(*index))
            .filter(|server| self.takes_out(server))
            .map(|server| &server.name)
            .collect();
        // A weight is a server's own; only a state is inherited.
        let out = match self {
            Self::State(_) => guard::with_trackers(taken, &reading.counters),
            Self::Weight(_) => taken.into_iter().collect(),
        };
        guard::emptied(&reading.servers, &out)
    }
}

/// The command that gives a server back the state or weight it had.
#[must_use]
pub fn undo(wanted: Wanted, before: &Server) -> Command {
    match wanted {
        Wanted::State(_) => Command::SetState(before.name.clone(), before.admin.forced()),
        Wanted::Weight(_) => {
            // HAProxy itself takes no weight above 256.
            let weight = u16::try_from(before.weight).unwrap_or(256);
            Command::SetWeight(before.name.clone(), Weight::Absolute(weight))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::state::AdminState;

    fn server(op: u32, admin: u32, weight: u32) -> Server {
        Server {
            name: ServerName::parse("b/s").unwrap(),
            operational: op.into(),
            admin: AdminState(admin),
            weight,
            initial_weight: 10,
            id: None,
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
        let reading = Reading {
            level: Level::Admin,
            info: Info::default(),
            servers: answer::servers(include_bytes!(
                "../../tests/recorded/haproxy/servers-state.txt"
            ))
            .unwrap(),
            counters: stat::rows(include_bytes!("../../tests/recorded/haproxy/stat.txt")).unwrap(),
        };
        let at = |name: &str| {
            reading
                .servers
                .iter()
                .position(|s| s.name.as_str() == name)
                .unwrap()
        };
        let last = [at("i0_puppet_masters/puppet-i0-svc2")];
        assert_eq!(MAINT.guard(&reading, &last).len(), 1);
        assert_eq!(DRAIN.guard(&reading, &last).len(), 1);
        assert_eq!(
            Wanted::Weight(Weight::Absolute(0))
                .guard(&reading, &last)
                .len(),
            1
        );
        // Half of 1 is 0.
        assert_eq!(
            Wanted::Weight(Weight::Percent(50))
                .guard(&reading, &last)
                .len(),
            1
        );
        assert!(
            Wanted::Weight(Weight::Absolute(1))
                .guard(&reading, &last)
                .is_empty()
        );
        assert!(READY.guard(&reading, &last).is_empty());
    }

    #[test]
    fn the_way_back_gives_what_was_there() {
        let before = server(2, 8, 10);
        assert_eq!(
            undo(MAINT, &before).to_string(),
            "set server b/s state drain"
        );
        let weight = Wanted::Weight(Weight::Absolute(0));
        assert_eq!(
            undo(weight, &before).to_string(),
            "set server b/s weight 10"
        );
    }
}
