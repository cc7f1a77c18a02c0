//! What the pieces of a command line name, as each tool has it.

use std::io::Write as _;

use super::*;
use crate::nodeset::GroupError;

/// The group `a` has `a1` and `a2`, and so on.
struct Letters;

impl Groups for Letters {
    fn map(&self, _: Option<&str>, group: &str) -> Result<String, GroupError> {
        Ok(match group {
            "a" | "b" | "c" => format!("{group}[1-2]"),
            _ => String::new(),
        })
    }
    fn all(&self, _: Option<&str>) -> Result<Option<String>, GroupError> {
        Ok(Some("@a,@b,@c".to_owned()))
    }
    fn list(&self, _: Option<&str>) -> Result<Vec<String>, GroupError> {
        Ok(["a", "b", "c", "none"].map(str::to_owned).to_vec())
    }
    fn reverse(&self, _: Option<&str>, _: &str) -> Result<Option<Vec<String>>, GroupError> {
        Ok(None)
    }
    fn sources(&self) -> Result<Vec<String>, GroupError> {
        Ok(vec!["letters".to_owned()])
    }
}

/// Pieces as on a command line: `-w n1 -X a`.
fn pieces(line: &str) -> Vec<Piece> {
    let mut words = line.split(' ');
    let mut pieces = Vec::new();
    while let Some(option) = words.next() {
        let mut value = || words.next().unwrap().to_owned();
        let (option, role, words) = match option {
            "-w" => ("-w", Role::Include, Words::Nodes(value())),
            "-g" => ("-g", Role::Include, Words::Groups(value())),
            "-x" => ("-x", Role::Exclude, Words::Nodes(value())),
            "-X" => ("-X", Role::Exclude, Words::Groups(value())),
            "-a" => ("-a", Role::Include, Words::All),
            "-l" => ("-l", Role::Include, Words::List(value().into())),
            "-k" => ("-k", Role::Among, Words::Nodes(value())),
            other => panic!("{other}"),
        };
        pieces.push(Piece {
            option,
            role,
            words,
        });
    }
    pieces
}

/// The nodes, and behind them what had no effect.
fn found(line: &str, rules: &Rules) -> Result<String, TargetError> {
    let mut idle = String::new();
    let mut tell = |note: Note<'_>| {
        if let Note::Idle { option, role, text } = note {
            let mark = if role == Role::Exclude { "" } else { "!" };
            idle += &format!(" {option}:{mark}{text}");
        }
    };
    let nodes = resolve(&pieces(line), rules, &Letters, &mut tell)?;
    Ok(format!("{nodes}{idle}"))
}

fn native(line: &str) -> String {
    found(line, &Rules::NATIVE).unwrap()
}

#[test]
fn a_list_of_groups_is_so_many_groups() {
    assert_eq!(native("-g a,b"), "a[1-2],b[1-2]");
    assert_eq!(native("-w a[1-2],b[1-2],z -X a,b"), "z");
    assert_eq!(native("-g a,b!a"), "b[1-2]");
    assert_eq!(native("-a -X letters:c"), "a[1-2],b[1-2]");
    let classic = |line| found(line, &Rules::CLUSTERSHELL).unwrap();
    assert_eq!(classic("-g a,b -X b,zzz"), "a[1-2]");
    assert_eq!(classic("-a -X * -w n1"), "n1");
}

#[test]
fn what_leaves_out_looks_at_the_targets_and_says_when_it_meets_none() {
    assert_eq!(native("-w web1,new7 -x new*"), "web1");
    assert_eq!(native("-x new* -w web1,new7"), "web1");
    assert_eq!(native("-w web1,new7!new*"), "web1");
    assert_eq!(native("-w n1 -x new*,n2"), "n1 -x:new* -x:n2");
    assert_eq!(native("-w n1 -X a,none"), "n1 -X:@a -X:@none");
    assert_eq!(native("-w n1!m1!n2"), "n1 -w:!m1 -w:!n2");
    assert_eq!(native("-w n1,n2 -x n1 -x n1"), "n2");
    // The original compares with all nodes of the default source, and says nothing.
    let classic = |line| found(line, &Rules::CLUSTERSHELL).unwrap();
    assert_eq!(classic("-w web1,new7,a1 -x new* -x a*,zzz"), "new7,web1");
    assert_eq!(classic("-w web1,new7!new*"), "new7,web1");
}

#[test]
fn an_unknown_group_is_a_mistake_or_empty() {
    let why = |line| match found(line, &Rules::NATIVE) {
        Err(TargetError::Value {
            option,
            text,
            error: EvalError::Group(GroupError::Other(why)),
        }) => format!("{option} {text} {why}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(why("-g zzz"), "-g zzz unknown group `@zzz`");
    assert_eq!(why("-w n1 -X a,zzz"), "-X a,zzz unknown group `@zzz`");
    assert_eq!(native("-w n1 -g none"), "n1");
    assert_eq!(found("-w n1 -g zzz", &Rules::CLUSTERSHELL).unwrap(), "n1");
}

#[test]
fn nothing_is_nothing() {
    for rules in [Rules::NATIVE, Rules::CLUSTERSHELL] {
        assert!(
            resolve(&[], &rules, &Letters, &mut |_| ())
                .unwrap()
                .is_empty()
        );
        for line in [
            "-g none",
            "-w n1 -x n1",
            "-w a1 -k b1",
            "-w n1!n1",
            "-l /dev/null",
        ] {
            assert_eq!(found(line, &rules).unwrap(), "", "{line}");
        }
    }
}

#[test]
fn lists_hold_node_sets_and_groups() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"n1 n[2-3] # n9\n@a n5..6\nweb1,new7!new*\n")
        .unwrap();
    let path = file.path().display().to_string();
    let nodes = native(&format!("-l {path} -k n[1-9],@a -x n3"));
    assert_eq!(nodes, "a[1-2],n[1-2,5-6]");
    file.write_all(b"\nn[1-\n").unwrap();
    match found(&format!("-l {path}"), &Rules::NATIVE) {
        Err(TargetError::List { error, .. }) => {
            assert_eq!(error.line(), Some(5));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn too_many_are_counted_and_not_listed() {
    let line = "-w a[1-1000]b[1-1000]c[1-1000]d[1-1000] -x a1b1c1d[1-1000]";
    let nodes = resolve(&pieces(line), &Rules::NATIVE, &Letters, &mut |_| ()).unwrap();
    match bounded(&nodes, MAX_NODES) {
        Err(TargetError::TooMany { count, most }) => {
            assert_eq!((count, most), (1_000_000_000_000 - 1000, MAX_NODES));
        }
        other => panic!("{other:?}"),
    }
    assert!(bounded(&nodes, nodes.count()).is_ok());
}

#[test]
fn so_many_are_picked() {
    let nodes = eval("n[1-1000]m[1-9]", &Letters).unwrap();
    let few = pick(nodes.clone(), 20);
    assert!(few.len() == 20 && nodes.is_superset(&few));
    assert_eq!(pick(nodes.clone(), 9000), nodes);
}
