//! Answers that were recorded from HAProxy, and such as it never gives.

use proptest::prelude::*;

use super::*;
use crate::haproxy::stat;

const SERVERS: &[u8] = include_bytes!("../../../tests/recorded/haproxy/servers-state.txt");
const INFO: &[u8] = include_bytes!("../../../tests/recorded/haproxy/info.txt");
const BACKEND: &[u8] = include_bytes!("../../../tests/recorded/haproxy/backend.txt");
const PROC: &[u8] = include_bytes!("../../../tests/recorded/haproxy/proc.txt");
const PROC_OLD: &[u8] = include_bytes!("../../../tests/recorded/haproxy/proc-old.txt");

fn words(servers: &[Server], name: &str) -> String {
    let server = servers.iter().find(|s| s.name.as_str() == name).unwrap();
    format!(
        "{} {}",
        server.words(),
        server.admin.reason().unwrap_or("-")
    )
}

#[test]
fn servers_state_of_a_real_haproxy() {
    let servers = servers(SERVERS).unwrap();
    assert_eq!(servers.len(), 36);
    assert_eq!(
        servers[0].name.as_str(),
        "all_puppet_masters/puppet-i0-svc1"
    );
    for (name, expected) in [
        ("all_puppet_masters/puppet-i0-svc1", "RUNNING/READY -"),
        ("all_puppet_masters/puppet-i28-svc1", "STOPPED/READY -"),
        ("i0_puppet_masters/puppet-i0-svc1", "STOPPED/MAINT forced"),
        ("http/http-svc1", "RUNNING/DRAIN forced"),
        ("x_track/http-svc1", "RUNNING/DRAIN inherited"),
        ("x_track/http-svc2", "STOPPED/MAINT inherited"),
        ("x_disabled/http-svc2", "RUNNING/READY -"),
        ("x_soft/soft-svc1", "STARTING/READY -"),
        ("x_soft/soft-svc2", "STOPPING/READY -"),
        ("x_dns/web1", "STOPPED/MAINT resolution"),
    ] {
        assert_eq!(words(&servers, name), expected, "{name}");
    }
    let ldap = servers
        .iter()
        .find(|s| s.name.as_str() == "ldap/ldap-svc2")
        .unwrap();
    assert!(
        ldap.words() == "RUNNING/READY" && !ldap.is_usable(),
        "weight 0 takes no clients"
    );
    assert_eq!(
        servers
            .iter()
            .find(|s| s.name.backend() == "x_static")
            .unwrap()
            .initial_weight,
        10
    );
}

#[test]
fn columns_are_found_by_name() {
    let answer =
        b"1\n# be_id srv_name be_name new srv_admin_state srv_op_state srv_iweight srv_uweight\n\
        3 s b ? 8 2 5 7\n\n";
    let servers = servers(answer).unwrap();
    assert_eq!(servers[0].name.as_str(), "b/s");
    assert_eq!(servers[0].words(), "RUNNING/DRAIN");
    assert_eq!((servers[0].weight, servers[0].initial_weight), (7, 5));
}

#[test]
fn servers_of_haproxys_own_are_left_out() {
    let answer = b"1\n# be_id be_name srv_name srv_op_state srv_admin_state srv_uweight srv_iweight\n\
        1 MASTER cur-1 2 0 1 1\n2 <HTTPCLIENT> <HTTPSCLIENT> 2 0 1 1\n3 MASTER s 2 0 1 1\n4 b cur-1 2 0 1 1\n\n";
    let servers = servers(answer).unwrap();
    let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["MASTER/s", "b/cur-1"]);
    let stat = b"# pxname,svname,type,status,scur,qcur,weight,check_status,check_fall,tracked,\n\
        MASTER,cur-1,2,UP,0,0,1,,,,\n<HTTPCLIENT>,<HTTPCLIENT>,2,UP,0,0,1,,,,\nb,s,2,UP,0,0,1,,,,\n\n";
    assert_eq!(stat::rows(stat).unwrap().len(), 1);
}

#[test]
fn checks_and_numbers_are_read() {
    let servers = servers(SERVERS).unwrap();
    let server = |name: &str| servers.iter().find(|s| s.name.as_str() == name).unwrap();
    let ldap = server("ldap/ldap-svc1");
    assert!(ldap.check.is_on() && !ldap.check.is_off() && ldap.ids().is_some());
    let none = server("x_nocheck/http-svc1");
    assert!(!none.check.is_on() && !none.check.is_off());
    assert!(server("x_agent/http-svc1").agent.is_on());
}

#[test]
fn another_process_is_told_by_its_id_or_its_start() {
    let info = info(INFO).unwrap();
    assert!(info.started.is_some() && !info.is_other_than(&info.clone()));
    let mut later = info.clone();
    later.pid += 1;
    assert!(later.is_other_than(&info));
    let mut again = info.clone();
    again.started = again.started.map(|time| time + 1);
    assert!(
        again.is_other_than(&info),
        "a container's worker has the same id"
    );
    again.started = None;
    assert!(!again.is_other_than(&info), "an old version does not say");
}

#[test]
fn the_master_is_known_by_what_it_offers() {
    for text in [
        "Unknown command, but maybe one of the following ones is a better match:\n  show cli level    : x\n  show proc         : show processes status\n  quit     : disconnect\n\n",
        "admin\n\nUnknown command: 'show', but maybe one of\n  show proc    : x\n  show startup-logs  : x\n  quit       : x\n\n",
    ] {
        assert!(is_from_master(text.as_bytes()), "{text}");
    }
    for text in [
        "Unknown command, but maybe one of the following ones is a better match:\n  show errors    : x\n  quit     : disconnect\n\n",
        "admin\n\nName: HAProxy\n\n",
        "",
    ] {
        assert!(!is_from_master(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_cut_answer_is_never_taken() {
    for end in 0..SERVERS.len() {
        assert!(servers(&SERVERS[..end]).is_err(), "{end}");
    }
    for end in 0..INFO.len() {
        assert!(info(&INFO[..end]).is_err(), "{end}");
    }
}

#[test]
fn answers_to_one_line_are_parted() {
    let [one, two, three] = parts(b"admin\n\nName: x\n\n1\n# be_id\n\n").unwrap();
    assert_eq!(
        (one, two, three),
        (
            &b"admin\n\n"[..],
            &b"Name: x\n\n"[..],
            &b"1\n# be_id\n\n"[..]
        )
    );
    let [one, two] = parts(b"Permission denied\n\n").unwrap();
    assert_eq!(level(one), Err(AnswerError::Permission));
    assert_eq!(info(two), Err(AnswerError::Empty));
    assert_eq!(parts::<2>(b""), Err(AnswerError::Empty));
}

#[test]
fn another_version_is_refused() {
    assert!(matches!(
        servers(b"2\n# be_id x\n\n"),
        Err(AnswerError::Shape(_))
    ));
    assert!(matches!(
        servers(b"1\n# be_id be_name\n\n"),
        Err(AnswerError::Shape(_))
    ));
}

#[test]
fn refusals_have_their_own_class() {
    assert_eq!(accepted(b"\n"), Ok(()));
    assert!(matches!(accepted(b"\n\n"), Err(AnswerError::Shape(_))));
    assert_eq!(accepted(b""), Err(AnswerError::Empty));
    assert_eq!(
        accepted(b"Permission denied\n\n"),
        Err(AnswerError::Permission)
    );
    assert_eq!(
        accepted(b"No such server.\n\n"),
        Err(AnswerError::Refused("No such server.".to_owned()))
    );
    assert!(matches!(
        accepted(b"Unknown command, but maybe one of\n  x\n\n"),
        Err(AnswerError::Unknown(_))
    ));
    assert!(matches!(
        servers(b"Unknown command: 'show', but maybe\n\n"),
        Err(AnswerError::Unknown(_))
    ));
}

#[test]
fn small_answers() {
    assert_eq!(level(b"admin\n\n"), Ok(Level::Admin));
    assert!(level(b"root\n\n").is_err());
    assert_eq!(weight(b"1 (initial 3)\n\n"), Ok((1, 3)));
    assert!(weight(b"No such server.\n\n").is_err());
    let info = info(INFO).unwrap();
    assert_eq!(info.version, "2.6.12-1+deb12u4");
    assert_eq!((info.processes, info.stopping), (1, false));
    assert!(info.pid > 0);
    let backends = backends(BACKEND).unwrap();
    assert_eq!(
        (backends.len(), backends[0].as_str()),
        (17, "all_puppet_masters")
    );
    let now = workers(PROC).unwrap();
    assert_eq!((now.current.len(), now.old.len()), (1, 0));
    let now = workers(PROC_OLD).unwrap();
    assert_eq!((now.current.len(), now.old.len()), (1, 1));
    // 3.5 after a reload that failed.
    let failed = workers(b"#<PID> <type>\n1 master 1\n# workers\n# old workers\n7 worker 1\n\n");
    let expected = Workers {
        current: vec![],
        old: vec![7],
    };
    assert_eq!(failed, Ok(expected));
}

proptest! {
    #[test]
    fn no_answer_can_hurt(head in 0..6usize, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let heads: [&[u8]; 6] = [
            b"", b"1\n# be_id be_name srv_name srv_op_state srv_admin_state srv_uweight srv_iweight\n",
            b"# pxname,svname,", b"Name: HAProxy\n", b"# name\n", b"#<PID>\n# old workers\n",
        ];
        let answer = [heads[head], &bytes, b"\n\n"].concat();
        let _ = (servers(&answer), info(&answer), backends(&answer), level(&answer));
        let _ = (weight(&answer), workers(&answer), is_from_master(&answer), accepted(&answer), stat::rows(&answer));
    }
}
