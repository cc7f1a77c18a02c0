//! The lab's configuration: puppet masters in six backends, ldap and http.

use std::time::Duration;

use super::server::Server;

/// The machines behind the load balancers, in the order in which the backends name them first.
pub const ORIGINS: &[&str] = &[
    "puppet-i0-svc1",
    "puppet-i0-svc2",
    "puppet-i10-svc1",
    "puppet-i20-svc1",
    "puppet-i24-svc1",
    "puppet-i28-svc1",
    "ldap-svc1",
    "ldap-svc2",
    "http-svc1",
    "http-svc2",
];

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Http,
    Tcp,
}

/// A frontend or backend of the file.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) mode: Mode,
    /// The name of the cookie that keeps a client on its server.
    pub(super) cookie: Option<&'static str>,
    /// Servers by their place in [`ORIGINS`]; a frontend has none.
    servers: &'static [Member],
}

/// A server's place in a backend.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) origin: usize,
    pub(super) backup: bool,
    pub(super) cookie: Option<&'static str>,
}

const fn active(origin: usize) -> Member {
    Member {
        origin,
        backup: false,
        cookie: None,
    }
}

const fn backup(origin: usize) -> Member {
    Member {
        origin,
        backup: true,
        cookie: None,
    }
}

const fn keeping(origin: usize, cookie: &'static str) -> Member {
    Member {
        origin,
        backup: false,
        cookie: Some(cookie),
    }
}

const fn proxy(id: u32, name: &'static str, mode: Mode, servers: &'static [Member]) -> Proxy {
    Proxy {
        id,
        name,
        mode,
        cookie: None,
        servers,
    }
}

/// Every proxy, in the order of the file. Number 1 is HAProxy's own.
pub(super) static PROXIES: &[Proxy] = &[
    proxy(2, "fe_puppet", Mode::Http, &[]),
    proxy(
        3,
        "all_puppet_masters",
        Mode::Http,
        &[
            active(0),
            active(1),
            active(2),
            active(3),
            active(4),
            active(5),
        ],
    ),
    proxy(4, "i0_puppet_masters", Mode::Http, &[active(0), active(1)]),
    proxy(5, "i10_puppet_masters", Mode::Http, &[active(2), backup(0)]),
    proxy(6, "i20_puppet_masters", Mode::Http, &[active(3), backup(0)]),
    proxy(7, "i24_puppet_masters", Mode::Http, &[active(4), backup(0)]),
    proxy(8, "i28_puppet_masters", Mode::Http, &[active(5), backup(0)]),
    proxy(9, "fe_ldap", Mode::Tcp, &[]),
    proxy(10, "ldap", Mode::Tcp, &[active(6), active(7)]),
    proxy(11, "fe_http", Mode::Http, &[]),
    Proxy {
        id: 12,
        name: "http",
        mode: Mode::Http,
        cookie: Some("SRV"),
        servers: &[keeping(8, "h1"), keeping(9, "h2")],
    },
];

/// A backend at work.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    pub(super) layout: &'static Proxy,
    pub(super) servers: Vec<Server>,
    /// How often it went down, and when it last changed.
    pub(super) downs: u32,
    pub(super) changed: Duration,
    pub(super) downtime: Duration,
    up: bool,
}

impl Backend {
    /// Active and backup servers that take new clients.
    pub(super) fn usable(&self) -> (usize, usize) {
        let count = |backup: bool| {
            self.servers
                .iter()
                .filter(|server| server.is_usable() && server.member().backup == backup)
                .count()
        };
        (count(false), count(true))
    }

    /// The weight that takes clients: of the active servers, else of the first backup server.
    pub(super) fn weight(&self) -> u32 {
        let of = |backup: bool| {
            self.servers
                .iter()
                .filter(move |server| server.is_usable() && server.member().backup == backup)
                .map(|server| server.weight)
        };
        let active: u32 = of(false).sum();
        if active > 0 {
            active
        } else {
            of(true).next().unwrap_or(0)
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// Notes whether it went down or came back with what just happened to a server.
    pub(super) fn settle(&mut self, now: Duration) {
        let up = self.usable() != (0, 0);
        if up == self.up {
            return;
        }
        if up {
            self.downtime += now.saturating_sub(self.changed);
        } else {
            self.downs += 1;
        }
        self.up = up;
        self.changed = now;
    }
}

/// All backends, each server up and checked.
pub(super) fn backends(now: Duration) -> Vec<Backend> {
    PROXIES
        .iter()
        .filter(|proxy| !proxy.servers.is_empty())
        .map(|layout| Backend {
            layout,
            servers: layout
                .servers
                .iter()
                .map(|member| Server::new(member, layout.mode, now))
                .collect(),
            downs: 0,
            changed: now,
            downtime: Duration::ZERO,
            up: true,
        })
        .collect()
}
