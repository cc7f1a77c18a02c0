//! All that is read of one HAProxy at one moment, found by name.

use std::collections::HashMap;

use super::answer::{self, AnswerError, Info, Level};
use super::name::ServerName;
use super::stat::{self, Counters, Stat};
use super::state::Server;
use super::usable::unpublish;

/// What one HAProxy said of itself and its servers.
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
    by_name: HashMap<ServerName, Place>,
}

/// Where a server stands in the two lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    server: Option<usize>,
    counters: Option<usize>,
}

/// What became of a server that was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again<'a> {
    /// It is there.
    There(&'a Server),
    /// It has another name now.
    Renamed(&'a Server),
    /// Another server has its name now.
    Replaced,
    /// It is gone.
    Gone,
}

impl Reading {
    /// Reads the answer to [`Command::Reading`](super::command::Command::Reading).
    ///
    /// # Errors
    /// When a part of it is anything else or not whole.
    pub fn parse(answer: &[u8]) -> Result<Self, AnswerError> {
        let [level, info, servers, counters] = answer::parts(answer)?;
        let level = answer::level(level)?;
        let info = answer::info(info)?;
        let mut servers = answer::servers(servers)?;
        let Stat {
            servers: counters,
            unpublished,
        } = stat::read(counters)?;
        unpublish(&mut servers, &unpublished);
        Ok(Self::new(level, info, servers, counters))
    }

    /// A reading of these parts.
    #[must_use]
    pub fn new(level: Level, info: Info, servers: Vec<Server>, counters: Vec<Counters>) -> Self {
        let mut by_name: HashMap<ServerName, Place> = HashMap::with_capacity(servers.len());
        for (index, server) in servers.iter().enumerate() {
            let place = by_name.entry(server.name.clone()).or_default();
            place.server.get_or_insert(index);
        }
        for (index, row) in counters.iter().enumerate() {
            let place = by_name.entry(row.name.clone()).or_default();
            place.counters.get_or_insert(index);
        }
        Self {
            level,
            info,
            servers,
            counters,
            by_name,
        }
    }

    /// The server of that name.
    #[must_use]
    pub fn server(&self, name: &ServerName) -> Option<&Server> {
        self.servers.get(self.by_name.get(name)?.server?)
    }

    /// The counters of that name.
    #[must_use]
    pub fn counters(&self, name: &ServerName) -> Option<&Counters> {
        self.counters.get(self.by_name.get(name)?.counters?)
    }

    /// What became of a server that an earlier reading had. The same process knows it by its numbers, whatever it is
    /// called; with another process only the name counts.
    #[must_use]
    pub fn again(&self, before: &Server, is_same_process: bool) -> Again<'_> {
        let ids = before.ids().filter(|_| is_same_process);
        match self.server(&before.name) {
            Some(server) if ids.is_none() || server.ids() == ids => Again::There(server),
            found => {
                let renamed = self
                    .servers
                    .iter()
                    .find(|server| ids.is_some() && server.ids() == ids);
                match (renamed, found) {
                    (Some(server), _) => Again::Renamed(server),
                    (None, Some(_)) => Again::Replaced,
                    (None, None) => Again::Gone,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "1\n# be_id be_name srv_id srv_name srv_op_state srv_admin_state srv_uweight srv_iweight\n";

    fn reading(rows: &str) -> Reading {
        let servers = answer::servers(format!("{HEADER}{rows}\n").as_bytes()).unwrap();
        Reading::new(Level::Admin, Info::default(), servers, Vec::new())
    }

    #[test]
    fn a_server_is_known_by_name_and_number() {
        let before = reading("3 b 1 s 2 0 1 1\n");
        let server = &before.servers[0];
        let there = reading("3 b 1 s 0 1 1 1\n");
        assert_eq!(there.again(server, true), Again::There(&there.servers[0]));
        let renamed = reading("3 b 1 t 2 0 1 1\n3 b 2 s 2 0 1 1\n");
        assert_eq!(
            renamed.again(server, true),
            Again::Renamed(&renamed.servers[0])
        );
        let replaced = reading("3 b 2 s 2 0 1 1\n");
        assert_eq!(replaced.again(server, true), Again::Replaced);
        // A reload counts anew.
        assert_eq!(
            replaced.again(server, false),
            Again::There(&replaced.servers[0])
        );
        let gone = reading("3 b 2 t 2 0 1 1\n");
        assert_eq!(gone.again(server, true), Again::Gone);
        assert_eq!(gone.again(server, false), Again::Gone);
    }
}
