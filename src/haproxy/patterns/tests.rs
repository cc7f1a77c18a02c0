use proptest::prelude::*;

use super::*;

/// What HAProxy 2.6.12 and 2.8.25 made of this file.
#[test]
fn a_file_is_read_as_haproxy_reads_it() {
    let file =
        b"# comment\n\n  lead.lab   v1  \nplain.lab v2\n\ttab.lab\tv3\nsp.lab two words here \n\
        dup v1\ndup v2\ncr.lab v\r\nback\\s v\\x\nlast nolf";
    let map = Entries::of_file(Kind::Map, file).unwrap();
    let answer =
        b"0x561f28a29560 lead.lab v1\n0x561f28a295b0 plain.lab v2\n0x561f28a29600 tab.lab v3\n\
        0x561f28a29690 sp.lab two words here\n0x561f28a29840 dup v1\n0x561f28a298d0 dup v2\n\
        0x561f28a29960 cr.lab v\n0x561f28a299f0 back\\s v\\x\n0x561f28a29a80 last nolf\n\n";
    assert_eq!(map, Entries::of_answer(Kind::Map, answer).unwrap());
    assert_eq!(map.len(), 9);
    assert_eq!(map.only("dup").as_text(), "dup v1\ndup v2\n");

    let file = b"one\ntwo words\n  lead\n#c\nsemi;colon\nback\\slash\n\"q\"\nha#sh\ntrail \ncr\r\n";
    let acl = Entries::of_file(Kind::Acl, file).unwrap();
    let answer = b"0x1 one\n0x2 two words\n0x3 lead\n0x4 semi;colon\n0x5 back\\slash\n0x6 \"q\"\n0x7 ha#sh\n\
        0x8 trail \n0x9 cr\n\n";
    assert_eq!(acl, Entries::of_answer(Kind::Acl, answer).unwrap());
}

#[test]
fn what_haproxy_would_take_otherwise_is_refused() {
    let map = |text: &[u8]| Entries::of_file(Kind::Map, text).unwrap_err();
    assert_eq!(map(b"a 1\nb\nc 3\n"), EntryError::NoValue(2));
    assert_eq!(map(b"a 1\nb  \n"), EntryError::NoValue(2));
    assert_eq!(map(b"a 1\n  # b 2\n"), EntryError::Indented(2));
    assert_eq!(map(b"a 1\n\nb \x1b[2\n"), EntryError::Control(3));
    assert_eq!(map(b"a \xff\n"), EntryError::NotText(1));
    let acl = Entries::of_file(Kind::Acl, b"a\tb\n").unwrap_err();
    assert_eq!(acl, EntryError::Control(1));
}

#[test]
fn answers_are_whole_or_none() {
    assert!(Entries::of_answer(Kind::Map, b"\n").unwrap().is_empty());
    for (answer, error) in [
        (&b""[..], AnswerError::Empty),
        (b"0x1 a 1\n", AnswerError::Cut),
        (b"Permission denied\n\n", AnswerError::Permission),
        (b"k5 v5\n\n", AnswerError::Shape("k5 v5".to_owned())),
    ] {
        assert_eq!(Entries::of_answer(Kind::Map, answer), Err(error));
    }
    let unknown = b"Unknown map identifier. Please use #<id> or <file>.\n\n";
    assert!(matches!(
        Entries::of_answer(Kind::Map, unknown),
        Err(AnswerError::Refused(_))
    ));
    assert_eq!(prepared(b"New version created: 7\n\n"), Ok(7));
    assert!(prepared(b"Unknown map identifier.\n\n").is_err());
    assert_eq!(silent(b"\n\n", 2), Ok(()));
    assert!(silent(b"\n", 2).is_err());
    assert!(silent(b"\n'x' is not a valid IPv4 or IPv6 address.\n\n", 2).is_err());
}

#[test]
fn the_table_is_read() {
    let answer = b"# id (file) description\n\
        3 (/etc/x/hosts.map) pattern loaded from file '/etc/x/hosts.map' used by map at file 'CFG' line 32. curr_ver=0 next_ver=1 entry_cnt=4\n\
        2 () acl 'src' file 'h.cfg' line 12. curr_ver=0 next_ver=0 entry_cnt=0\n\n";
    let lists = lists(answer).unwrap();
    assert_eq!(lists[0].file.as_deref(), Some("/etc/x/hosts.map"));
    assert_eq!((lists[0].id, lists[0].entries), (3, 4));
    assert!(lists[0].is_open() && !lists[1].is_open());
    assert_eq!(lists[1].file, None);
    assert_eq!(super::lists(b"# id (file) description\n\n"), Ok(Vec::new()));
    assert!(super::lists(b"# id (file) description\n3 (x) y\n\n").is_err());
}

#[test]
fn commands_are_spelled_as_haproxy_wants_them() {
    let name = Name::parse("/etc/my map;x").unwrap();
    for (command, text) in [
        (PatternCommand::Lists(Kind::Acl), "show info;show acl"),
        (
            PatternCommand::Show(Kind::Map, name.clone(), Some(3)),
            r"show map @3 /etc/my\ map\;x",
        ),
        (
            PatternCommand::Add(
                Name::parse("#4").unwrap(),
                1,
                vec!["a b;c\\".into(), "#d".into()],
            ),
            r"add acl @1 #4 a\ b\;c\\;add acl @1 #4 \#d",
        ),
        (
            PatternCommand::Commit(Kind::Map, name, 2),
            r"commit map @2 /etc/my\ map\;x",
        ),
    ] {
        assert_eq!(command.to_string(), text);
    }
    for text in ["", "#", "#x", "@1", "a\nb", "x <<"] {
        assert!(Name::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_large_map_goes_in_pieces_that_haproxy_survives() {
    let mut text = String::new();
    for number in 0..10_000 {
        writeln!(text, "host-{number:06}.example.org backend_{number:06}").unwrap();
    }
    for kind in [Kind::Map, Kind::Acl] {
        let entries = Entries::of_file(kind, text.as_bytes()).unwrap();
        let name = Name::parse("/etc/haproxy/hosts.map").unwrap();
        let commands = entries.commands(&name, 12).unwrap();
        assert!(commands.len() > 20);
        let mut lines = 0;
        for command in commands {
            let wire = crate::haproxy::command::Command::Patterns(command.clone()).wire();
            assert!(wire.len() <= payload::MOST, "{}", wire.len());
            lines += match command {
                PatternCommand::Fill(_, _, payload) => payload.lines(),
                PatternCommand::Add(_, _, patterns) => patterns.len(),
                other @ (PatternCommand::Lists(_)
                | PatternCommand::Show(..)
                | PatternCommand::Prepare(..)
                | PatternCommand::Commit(..)) => panic!("{other}"),
            };
        }
        assert_eq!(lines, 10_000);
    }
}

#[test]
fn one_entry_that_is_too_long_is_refused() {
    let text = format!("a 1\nb {}\n", "x".repeat(16_000));
    let name = Name::parse("/m").unwrap();
    for kind in [Kind::Map, Kind::Acl] {
        let entries = Entries::of_file(kind, text.as_bytes()).unwrap();
        let refused = entries.commands(&name, 1).unwrap_err();
        assert!(
            matches!(refused, EntryError::Payload(2, PayloadError::TooLong(_))),
            "{refused}"
        );
    }
}

#[test]
fn edits_and_differences() {
    let map = |text: &str| Entries::of_file(Kind::Map, text.as_bytes()).unwrap();
    let old = map("a 1\nb 2\na 3\n");
    let set = Edit::set(Kind::Map, "a", Some("9")).unwrap();
    assert_eq!(set.on(&old).unwrap().as_text(), "a 9\nb 2\na 9\n");
    let add = Edit::set(Kind::Map, "c", Some("two words")).unwrap();
    assert_eq!(
        add.on(&old).unwrap().as_text(),
        "a 1\nb 2\na 3\nc two words\n"
    );
    let del = Edit::del(Kind::Map, "a").unwrap();
    assert_eq!(del.on(&old).unwrap().as_text(), "b 2\n");
    assert_eq!(Edit::del(Kind::Map, "x").unwrap().on(&old), None);

    let difference = old.difference(&map("b 2\na 3\nc 4\n"));
    assert_eq!(difference.rows, ["- a 1", "+ c 4"]);
    assert!(old.difference(&map("b 2\na 1\na 3\n")).is_order);
    assert!(old.difference(&old).is_none());

    for (key, value) in [
        ("", "v"),
        ("a b", "v"),
        ("#a", "v"),
        ("a", ""),
        ("a", " v"),
        ("a", "v\nw"),
    ] {
        assert!(
            Edit::set(Kind::Map, key, Some(value)).is_err(),
            "{key:?} {value:?}"
        );
    }
}

#[test]
fn a_file_keeps_its_comments() {
    let file = b"# hosts\n  a 1\nb 2 # no comment\n\na  1\nc 3";
    let edit = |edit: &Edit| {
        String::from_utf8(edit_file(Kind::Map, file, edit).unwrap().unwrap()).unwrap()
    };
    let set = Edit::set(Kind::Map, "a", Some("9")).unwrap();
    assert_eq!(edit(&set), "# hosts\na 9\nb 2 # no comment\n\na 9\nc 3");
    let same = Edit::set(Kind::Map, "a", Some("1")).unwrap();
    assert_eq!(edit(&same).as_bytes(), file);
    let add = Edit::set(Kind::Map, "d", Some("4")).unwrap();
    assert_eq!(
        edit(&add),
        "# hosts\n  a 1\nb 2 # no comment\n\na  1\nc 3\nd 4\n"
    );
    let del = Edit::del(Kind::Map, "c").unwrap();
    assert_eq!(edit(&del), "# hosts\n  a 1\nb 2 # no comment\n\na  1\n");
}

proptest! {
    /// Whatever a file holds: what is read of it survives the way to HAProxy and back, and no command is injected.
    #[test]
    fn entries_survive(text in "[ -~\n\t#;\\\\]{0,200}") {
        for kind in [Kind::Map, Kind::Acl] {
            let Ok(entries) = Entries::of_file(kind, text.as_bytes()) else { continue };
            let again = Entries::of_file(kind, entries.as_text().as_bytes());
            prop_assert_eq!(again.as_ref(), Ok(&entries));
            let name = Name::parse("/m").unwrap();
            for command in entries.commands(&name, 1).unwrap() {
                let wire = crate::haproxy::command::Command::Patterns(command.clone()).wire();
                let ends = wire.windows(2).filter(|two| *two == b"\n\n").count();
                let lines = wire.iter().filter(|byte| **byte == b'\n').count();
                if let PatternCommand::Fill(_, _, payload) = command {
                    prop_assert_eq!(ends, 1);
                    prop_assert_eq!(lines, payload.lines() + 2);
                } else {
                    prop_assert_eq!(lines, 1);
                }
            }
        }
    }
}
