//! The capacity guard: would a change leave a backend without a usable server?

use std::collections::{BTreeMap, HashMap, HashSet};

use super::name::ServerName;
use super::stat::Counters;
use super::state::Server;

/// A backend that would lose its last usable server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emptied {
    /// The backend.
    pub backend: String,
    /// The servers it would lose.
    pub servers: Vec<String>,
}

/// All servers that go out together with `taken`: themselves and all that track them, directly or not.
#[must_use]
pub fn with_trackers<'a>(
    taken: impl IntoIterator<Item = &'a ServerName>,
    counters: &'a [Counters],
) -> HashSet<&'a ServerName> {
    let mut followers: HashMap<&ServerName, Vec<&ServerName>> = HashMap::new();
    for row in counters {
        if let Some(tracked) = &row.tracked {
            followers.entry(tracked).or_default().push(&row.name);
        }
    }
    let mut out = HashSet::new();
    let mut todo: Vec<&ServerName> = taken.into_iter().collect();
    while let Some(server) = todo.pop() {
        if out.insert(server) {
            todo.extend(followers.get(server).into_iter().flatten().copied());
        }
    }
    out
}

/// The backends that have a usable server now and would have none without those in `out`. A backend where
/// nothing is usable already cannot be made worse.
#[must_use]
pub fn emptied(servers: &[Server], out: &HashSet<&ServerName>) -> Vec<Emptied> {
    let mut backends: BTreeMap<&str, (usize, Vec<&str>)> = BTreeMap::new();
    for server in servers.iter().filter(|server| server.is_usable()) {
        let (left, lost) = backends.entry(server.name.backend()).or_default();
        if out.contains(&server.name) {
            lost.push(server.name.server());
        } else {
            *left += 1;
        }
    }
    backends
        .into_iter()
        .filter(|(_, (left, lost))| *left == 0 && !lost.is_empty())
        .map(|(backend, (_, lost))| Emptied {
            backend: backend.to_owned(),
            servers: lost.into_iter().map(str::to_owned).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::{answer, stat};

    const SERVERS: &[u8] = include_bytes!("../../tests/recorded/haproxy/servers-state.txt");
    const STAT: &[u8] = include_bytes!("../../tests/recorded/haproxy/stat.txt");

    fn refused(names: &[&str]) -> Vec<String> {
        let servers = answer::servers(SERVERS).unwrap();
        let counters = stat::rows(STAT).unwrap();
        let names: Vec<ServerName> = names
            .iter()
            .map(|n| ServerName::parse(n).unwrap())
            .collect();
        emptied(&servers, &with_trackers(&names, &counters))
            .into_iter()
            .map(|emptied| format!("{}: {}", emptied.backend, emptied.servers.join(",")))
            .collect()
    }

    #[test]
    fn one_of_two_may_go_and_the_last_may_not() {
        assert!(refused(&["all_puppet_masters/puppet-i0-svc1"]).is_empty());
        // puppet-i0-svc1 is in maintenance there already.
        assert_eq!(
            refused(&["i0_puppet_masters/puppet-i0-svc2"]),
            ["i0_puppet_masters: puppet-i0-svc2"]
        );
        // The other has weight 0: it looks well and takes no clients.
        assert_eq!(refused(&["ldap/ldap-svc1"]), ["ldap: ldap-svc1"]);
        // A backup server is a usable server.
        assert!(refused(&["i10_puppet_masters/puppet-i10-svc1"]).is_empty());
        assert_eq!(
            refused(&[
                "i10_puppet_masters/puppet-i10-svc1",
                "i10_puppet_masters/puppet-i0-svc1"
            ]),
            ["i10_puppet_masters: puppet-i10-svc1,puppet-i0-svc1"]
        );
    }

    #[test]
    fn what_takes_no_clients_is_no_loss() {
        // Down, in drain, and without an address.
        assert!(
            refused(&[
                "i28_puppet_masters/puppet-i28-svc1",
                "http/http-svc1",
                "x_dns/web1"
            ])
            .is_empty()
        );
    }

    #[test]
    fn trackers_go_with_the_tracked() {
        let answer =
            b"1\n# be_id be_name srv_name srv_op_state srv_admin_state srv_uweight srv_iweight\n\
            1 a s 2 0 1 1\n1 a t 2 0 1 1\n2 b s 2 0 1 1\n3 c s 2 0 1 1\n\n";
        let servers = answer::servers(answer).unwrap();
        let counters = stat::rows(
            b"# pxname,svname,type,status,scur,qcur,weight,check_status,check_fall,tracked,\n\
            a,s,2,UP,0,0,1,,,,\nb,s,2,UP,0,0,1,,,a/s,\nc,s,2,UP,0,0,1,,,b/s,\n\n",
        )
        .unwrap();
        let taken = ServerName::parse("a/s").unwrap();
        let out = with_trackers([&taken], &counters);
        let backends: Vec<String> = emptied(&servers, &out)
            .into_iter()
            .map(|e| e.backend)
            .collect();
        assert_eq!(backends, ["b", "c"]);
    }
}
