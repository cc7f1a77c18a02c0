//! The text that `status` prints.

use std::fmt::Write;

use super::stat::Counters;
use super::state::Server;

/// What stands above the rows. "frontend_name" really is the server's; the words are older than we are.
pub const HEADER: &str =
    "# Format\n# backend_name/frontend_name: operational_state/administrative_state\n\n";

/// One row: `BACKEND/SERVER: OPERATIONAL/ADMIN`, after the instance where there are several.
pub fn row(out: &mut String, instance: Option<&str>, server: &Server) {
    start(out, instance, server);
    out.push('\n');
}

/// One row with the reason, the weight, the sessions and the check. These differ from node to node, so
/// they are for those who ask.
pub fn long_row(
    out: &mut String,
    instance: Option<&str>,
    server: &Server,
    counters: Option<&Counters>,
) {
    start(out, instance, server);
    if let Some(reason) = server.admin.reason() {
        let _ = write!(out, "({reason})");
    }
    let _ = write!(out, " weight={}", server.weight);
    if server.weight != server.initial_weight {
        let _ = write!(out, "/{}", server.initial_weight);
    }
    if let Some(counters) = counters {
        let _ = write!(
            out,
            " sessions={} queue={} status=\"{}\"",
            counters.sessions, counters.queued, counters.status
        );
        if !counters.check.is_empty() {
            let _ = write!(out, " check={}", counters.check);
        }
        if let Some(tracked) = &counters.tracked {
            let _ = write!(out, " track={tracked}");
        }
    }
    out.push('\n');
}

fn start(out: &mut String, instance: Option<&str>, server: &Server) {
    if let Some(instance) = instance {
        let _ = write!(out, "{instance}: ");
    }
    let _ = write!(
        out,
        "{}: {}/{}",
        server.name,
        server.operational,
        server.admin.word()
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::{answer, stat};

    #[test]
    fn rows_as_the_procedure_prints_them() {
        let servers = answer::servers(include_bytes!(
            "../../tests/recorded/haproxy/servers-state.txt"
        ))
        .unwrap();
        let counters = stat::rows(include_bytes!("../../tests/recorded/haproxy/stat.txt")).unwrap();
        let at = |name: &str| {
            servers
                .iter()
                .position(|s| s.name.as_str() == name)
                .unwrap()
        };
        let mut text = String::from(HEADER);
        row(
            &mut text,
            None,
            &servers[at("i0_puppet_masters/puppet-i0-svc1")],
        );
        row(&mut text, Some("ldap"), &servers[at("ldap/ldap-svc1")]);
        for name in ["ldap/ldap-svc2", "x_track/http-svc2"] {
            long_row(
                &mut text,
                None,
                &servers[at(name)],
                Some(&counters[at(name)]),
            );
        }
        assert_eq!(
            text,
            "# Format\n\
             # backend_name/frontend_name: operational_state/administrative_state\n\
             \n\
             i0_puppet_masters/puppet-i0-svc1: STOPPED/MAINT\n\
             ldap: ldap/ldap-svc1: RUNNING/READY\n\
             ldap/ldap-svc2: RUNNING/READY weight=0/1 sessions=0 queue=0 status=\"UP\" check=L4OK\n\
             x_track/http-svc2: STOPPED/MAINT(inherited) weight=1 sessions=0 queue=0 \
             status=\"MAINT (via http/http-svc2)\" track=http/http-svc2\n"
        );
    }
}
