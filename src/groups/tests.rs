//! Tests of the resolver over real files and real upcalls.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::nodeset::{self, Groups};

/// A folder with these files and a resolver for its `groups.conf`.
struct Site {
    dir: TempDir,
    groups: Resolver,
}

fn site(files: &[(&str, &str)]) -> Site {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let groups = Resolver::new(Settings::file(dir.path().join("groups.conf")));
    Site { dir, groups }
}

fn conf(text: &str) -> Site {
    site(&[("groups.conf", text)])
}

impl Site {
    fn map(&self, source: Option<&str>, group: &str) -> String {
        self.groups.map(source, group).unwrap().to_string()
    }

    fn path(&self) -> String {
        self.dir.path().display().to_string()
    }
}

const FIXTURE: &[(&str, &str)] = &[
    (
        "groups.conf",
        "[Main]\ndefault: roles\nconfdir: $CFGDIR/groups.conf.d\nautodir: $CFGDIR/groups.d\n[up]\n\
         map: sed -n 's/^$GROUP: *//p' $CFGDIR/up.txt\nall: sed -n 's/^all: *//p' $CFGDIR/up.txt\n\
         list: sed -n 's/:.*//p' $CFGDIR/up.txt | grep -v '^all$'\n",
    ),
    (
        "up.txt",
        "web: web[1-4]\ndb: db[1-2]\nall: web[1-4],db[1-2]\n",
    ),
    (
        "groups.d/cluster.yaml",
        "roles:\n    adm: 'n0'\n    io: '@racks:r1,n2'\n    empty:\n    all: 'n[0-8]'\nracks:\n    r1: 'n[0-1]'\n    r2: n5\n",
    ),
];

#[test]
fn files_and_upcalls_answer() {
    let site = site(FIXTURE);
    let groups = &site.groups;
    assert_eq!(groups.sources().unwrap(), ["roles", "racks", "up"]);
    assert_eq!(site.map(None, "io"), "@racks:r1,n2");
    assert_eq!(site.map(None, "empty"), "");
    assert_eq!(site.map(None, "unheard-of"), "");
    assert_eq!(site.map(Some("up"), "web"), "web[1-4]");
    assert_eq!(groups.list(None).unwrap(), ["adm", "io", "empty", "all"]);
    assert_eq!(groups.list(Some("up")).unwrap(), ["web", "db"]);
    let all = |source| groups.all(source).unwrap().map(|nodes| nodes.to_string());
    assert_eq!(all(None).as_deref(), Some("n[0-8]"));
    assert_eq!(all(Some("racks")), None);
    assert_eq!(all(Some("up")).as_deref(), Some("web[1-4],db[1-2]"));
}

#[test]
fn node_sets_ask_it() {
    let site = site(FIXTURE);
    let value = |text: &str| {
        let set = nodeset::parse(text).map(|expr| nodeset::eval(&expr, &site.groups));
        set.unwrap().unwrap().to_string()
    };
    assert_eq!(value("@io"), "n[0-2]");
    assert_eq!(value("@racks:*"), "n[0-1,5]");
    assert_eq!(value("@@racks"), "r[1-2]");
    assert_eq!(value("w*"), "");
    assert_eq!(value("@up:*!@up:db"), "web[1-4]");
    let error = nodeset::parse("@none:x").map(|expr| nodeset::eval(&expr, &site.groups));
    assert_eq!(
        error.unwrap().unwrap_err().to_string(),
        "Unknown group source: \"none\""
    );
    let patterns = conf("[x]\nmap: echo n1\nlist: echo 'a[1-2] b'\n");
    assert_eq!(
        Groups::list(&patterns.groups, None).unwrap(),
        ["a1", "a2", "b"]
    );
}

#[test]
fn nothing_is_read_before_the_first_question() {
    let site = conf("not an ini file");
    let unasked = Resolver::new(site.groups.settings.clone());
    drop(unasked);
    assert!(site.groups.sources().is_err());
}

#[test]
fn one_section_may_be_several_sources_and_sees_its_variables() {
    let site = conf(
        "[a,b]\nmap: echo \"$SOURCE-${GROUP}[1-2]\" $GROUPS $CFGDIR\nlist: echo g1 g2\nreverse: echo r-$NODE\n",
    );
    assert_eq!(
        site.map(Some("b"), "foo"),
        format!("b-foo[1-2],{}", site.path())
    );
    assert_eq!(site.groups.reverse(None, "n1").unwrap(), ["r-n1"]);
    assert_eq!(site.groups.all(None), Ok(None));
}

#[test]
fn dollars_are_those_of_a_template() {
    let site = conf("[x]\nmap: X=v; echo $$X ${GROUP}x $GROUPx '$'\n");
    assert_eq!(site.map(None, "a"), "v,ax,$");
}

#[test]
fn upcalls_run_in_the_folder_of_their_file_without_input() {
    let site = site(&[
        (
            "groups.conf",
            "[Main]\nconfdir: $CFGDIR/d \"$CFGDIR/d 2\" $CFGDIR/none\n[x]\nmap: cat; pwd\n",
        ),
        (
            "d/b.conf",
            "[Main]\ndefault: x\n[z]\nmap: echo $CFGDIR; pwd\n",
        ),
        ("d/not-read.txt", "[nope]\nmap: echo\n"),
        ("d 2/a.conf", "[y]\nmap: pwd\n"),
    ]);
    let path = site.path();
    assert_eq!(site.groups.sources().unwrap(), ["z", "y", "x"]);
    assert_eq!(site.map(Some("z"), "a"), format!("{path}/d,{path}/d"));
    assert_eq!(site.map(Some("x"), "a"), path);
}

#[test]
fn what_mapall_does_not_print_is_asked_of_map() {
    let site = conf(
        "[x]\nmapall: echo all >>runs; echo 'g1: n1'; echo 'g2:'\nmap: echo $GROUP >>runs; echo m1\nlist: echo g9\n",
    );
    assert_eq!(site.map(None, "g1"), "n1");
    assert_eq!(site.map(None, "g2"), "");
    assert_eq!(site.map(None, "g9"), "m1");
    assert_eq!(site.groups.list(None).unwrap(), ["g1", "g2"]);
    let runs = fs::read_to_string(site.dir.path().join("runs")).unwrap();
    assert_eq!(runs, "all\ng9\n");
}

#[test]
fn mapall_answers_for_map_and_list() {
    let site = conf(
        "[x]\nmapall: echo run >>runs; printf 'g1: n[1-2]\\n\\ng2: n3 n4\\ng1: n9\\ng3:\\n'\n",
    );
    assert_eq!(site.map(None, "g1"), "n[1-2],n9");
    assert_eq!(site.map(None, "g2"), "n3,n4");
    assert_eq!(site.map(None, "g3"), "");
    assert_eq!(site.map(None, "nog"), "");
    assert_eq!(site.groups.list(None).unwrap(), ["g1", "g2", "g3"]);
    assert_eq!(site.groups.all(None), Ok(None));
    let runs = fs::read_to_string(site.dir.path().join("runs")).unwrap();
    assert_eq!(runs, "run\n");
}

#[test]
fn the_same_question_is_asked_once() {
    let site = conf("[x]\nmap: echo $GROUP >>runs; echo n1\n");
    site.groups.prefetch(None, Upcall::Map, &["a", "b", "c"]);
    for group in ["a", "b", "c", "a"] {
        assert_eq!(site.map(None, group), "n1");
    }
    let runs = fs::read_to_string(site.dir.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 3);
}

#[tokio::test(start_paused = true)]
async fn answers_grow_old() {
    let site = conf("[x]\ncache_time: 1.5\nmap: echo >>runs; echo n$(wc -l <runs)\n");
    assert_eq!(site.map(None, "a"), "n1");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(site.map(None, "a"), "n1");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(site.map(None, "a"), "n2");
}

#[test]
fn one_that_hangs_is_ended_and_named() {
    let mut site = conf("[x]\nmap: sleep 1000 | cat\n");
    let mut settings = site.groups.settings.clone();
    settings.upcall_limit = Duration::from_millis(50);
    site.groups = Resolver::new(settings);
    assert_eq!(
        site.groups.map(None, "a").unwrap_err().to_string(),
        "sleep 1000 | cat: no answer within 0.05 s"
    );
}

#[test]
fn later_files_win_key_by_key_and_name_the_folder() {
    let site = site(&[
        (
            "one/groups.conf",
            "[Main]\ndefault: m\n[k]\nmap: echo k\n[m]\nmap: echo one\nlist: echo l1\n",
        ),
        ("two/groups.conf", "[m]\nmap: echo two; echo $CFGDIR\n"),
    ]);
    let folders: Vec<_> = ["one", "two", "three"]
        .map(|name| site.dir.path().join(name))
        .into();
    let groups = Resolver::new(Settings::search(&folders));
    assert_eq!(
        groups.map(None, "a").unwrap().to_string(),
        format!("two,{}/two", site.path())
    );
    assert_eq!(groups.list(None).unwrap(), ["l1"]);
}

#[test]
fn the_search_path_has_five_folders() {
    let with = |set: &[(&str, &str)]| {
        let folders = search_path(
            |name| {
                set.iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| value.into())
            },
            Some("/opt/x".as_ref()),
        );
        folders
            .iter()
            .map(|dir| dir.display().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        with(&[("HOME", "/h"), ("CLUSTERSHELL_CFGDIR", "/c")]),
        [
            "/etc/clustershell",
            "/h/.local/etc/clustershell",
            "/opt/x/etc/clustershell",
            "/h/.config/clustershell",
            "/c"
        ]
    );
    assert_eq!(
        with(&[("XDG_CONFIG_HOME", "/x")]),
        [
            "/etc/clustershell",
            "/opt/x/etc/clustershell",
            "/x/clustershell"
        ]
    );
}

#[test]
fn troubles_are_worded_as_the_original_does() {
    let map = |text: &str| conf(text).groups.map(None, "g").unwrap_err().to_string();
    let list = |text: &str| conf(text).groups.list(None).unwrap_err().to_string();
    let all = |text: &str| conf(text).groups.all(None).unwrap_err().to_string();
    for (found, expected) in [
        (map(""), "Unknown group source: \"<default>\""),
        (
            map("[x]\nlist: echo a\n"),
            "Group resolver error: No option 'map' or 'mapall' in section: 'x'",
        ),
        (
            map("[Main]\ndefault: no\n"),
            "Group resolver error: Default group source not found: \"no\"",
        ),
        (map("[x]\nmap: false\n"), "false"),
        (
            map("[x]\nmap:\n"),
            "No map upcall defined for group source \"x\"",
        ),
        (
            map("[x]\nmapall: echo badline\n"),
            "mapall: invalid line 'badline' (expected 'group: nodes')",
        ),
        (
            map("[x]\nmap: a\ncache_time: foo\n"),
            "Group resolver error: could not convert string to float: 'foo'",
        ),
        (
            map("[x,y]\nmap: a\n[y]\nmap: b\n"),
            "Group resolver error: GroupSource 'y': name collision",
        ),
        (list("[x]\nmap: a\nlist: false\n"), "Group error: false"),
        (
            list("[x]\nmap: a\n"),
            "No list upcall defined for group source \"x\"",
        ),
        (
            list("[x]\nmap: a\nlist: echo 'g@1 a,b'\n"),
            "Illegal group character: \"@\"",
        ),
        (
            list("[x]\nmapall: echo badline\n"),
            "Group error: mapall: invalid line 'badline' (expected 'group: nodes')",
        ),
        (
            all("[x]\nmap: a\nall: exit 3\n"),
            "External error: Failed to get all nodes: exit 3",
        ),
        (
            all("[x]\nmap: a\n"),
            "External error: Not enough working methods (all or map + list) to get all nodes",
        ),
        (
            conf("[x]\nmap: a\nreverse: exit 6\n")
                .groups
                .reverse(None, "n")
                .unwrap_err()
                .to_string(),
            "External error: Group source query failed: exit 6",
        ),
        (
            conf("[x]\nmap: a\n")
                .groups
                .map(Some("z"), "n")
                .unwrap_err()
                .to_string(),
            "Unknown group source: \"z\"",
        ),
    ] {
        assert_eq!(found, expected);
    }
    let site = conf("[Main]\nautodir: $CFGDIR/groups.conf\n");
    assert_eq!(
        site.groups.sources().unwrap_err().to_string(),
        format!(
            "Group resolver error: Defined autodir {}/groups.conf is not a directory",
            site.path()
        )
    );
}

#[test]
fn a_name_cannot_run_a_command() {
    let site = conf("[x]\nmap: echo $GROUP\nreverse: echo $NODE\n");
    for name in [
        "$(touch hacked)",
        "a;touch hacked",
        "a`touch hacked`",
        "a'b",
        "a\nb",
        "a|b",
    ] {
        let error = site.groups.map(None, name).unwrap_err();
        assert!(matches!(error, Error::IllegalCharacter(_)), "{error:?}");
        assert!(site.groups.reverse(None, name).is_err());
    }
    assert!(!site.dir.path().join("hacked").exists());
}
