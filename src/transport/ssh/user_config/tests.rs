//! Tests of the resolver on files of its own; `tests/it/ssh_config.rs` compares it with the real `ssh`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use tempfile::TempDir;

use std::collections::HashMap;

use super::*;

/// A home with a configuration; every name resolves that ends in `.example.`.
fn home(config: &str) -> (TempDir, Facts) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    fs::create_dir_all(home.join(".ssh")).unwrap();
    fs::create_dir_all(folder.path().join("etc")).unwrap();
    let facts = Facts {
        user: "me".to_owned(),
        uid: rustix::process::getuid().as_raw(),
        homes: HashMap::from([("ops".to_owned(), "/home/ops".into())]),
        host_name: "control.example".to_owned(),
        env: HashMap::from([("SSH_AUTH_SOCK".to_owned(), "/run/agent".to_owned())]),
        user_file: home.join(".ssh/config"),
        system_file: folder.path().join("etc/ssh_config"),
        resolves: |name| name.ends_with(".example."),
        home,
    };
    write(&facts.user_file, config);
    (folder, facts)
}

fn write(path: &std::path::Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn resolve(config: &str, host: &str) -> Result<HostSettings, String> {
    let (_folder, facts) = home(config);
    UserConfig::load(facts, &Options::default())
        .and_then(|config| config.resolve(host, Given::default()))
        .map_err(|error| error.to_string().rsplit('/').next().unwrap().to_owned())
}

#[test]
fn nothing_configured_gives_the_defaults() {
    let settings = resolve("", "LB1").unwrap();
    assert_eq!((settings.host.as_str(), settings.port), ("lb1", 22));
    assert_eq!(settings.user, "me");
    assert_eq!(settings.auth.agent, Some("/run/agent".into()));
    assert!(settings.auth.identity_files[0].ends_with("home/.ssh/id_ed25519"));
    assert!(!settings.auth.identity_files_named);
    assert_eq!(settings.host_keys.user_files.len(), 2);
    assert_eq!(settings.proxy, Proxy::Direct);
}

#[test]
fn command_line_then_user_then_system() {
    let (_folder, facts) = home("Host lb*\n User file\n Port 3\n");
    write(
        &facts.system_file,
        "User system\nBatchMode yes\nInclude more\n",
    );
    write(
        &facts.system_file.with_file_name("more"),
        "Compression yes\n",
    );
    let options = Options {
        options: vec!["port=2".to_owned()],
        ..Options::default()
    };
    let config = UserConfig::load(facts, &options).unwrap();
    let lb = config.resolve("lb1", Given::default()).unwrap();
    assert_eq!((lb.user.as_str(), lb.port), ("file", 2));
    assert!(lb.auth.batch && lb.compression);
    let typed = config
        .resolve(
            "lb1",
            Given {
                user: Some("typed"),
                port: Some(9),
                ..Given::default()
            },
        )
        .unwrap();
    // As with `ssh -o port=2 ssh://lb1:9`.
    assert_eq!((typed.user.as_str(), typed.port), ("typed", 2));
    let named = Given {
        usual_user: Some("named"),
        port: Some(9),
        ..Given::default()
    };
    let named = config.resolve("x", named).unwrap();
    assert_eq!((named.user.as_str(), named.port), ("named", 2));
    assert_eq!(
        config.resolve("x", Given::default()).unwrap().user,
        "system"
    );
}

#[test]
fn includes_are_relative_to_the_users_folder_and_stay_in_their_block() {
    let (_folder, facts) = home("Host a\n Include d/*.conf\n User late\nHost *\n Port 9\n");
    let folder = facts.ssh_folder().join("d");
    fs::create_dir(&folder).unwrap();
    write(
        &folder.join("1.conf"),
        "Host b\n Port 1\nHost *\n User from-1\n",
    );
    write(&folder.join("2.conf"), "User from-2\nPort 2\n");
    write(
        &folder.join(".3.conf"),
        "Nonsense hidden files do not count\n",
    );
    let config = UserConfig::load(facts, &Options::default()).unwrap();
    let a = config.resolve("a", Given::default()).unwrap();
    assert_eq!((a.user.as_str(), a.port), ("from-1", 2));
    let b = config.resolve("b", Given::default()).unwrap();
    assert_eq!((b.user.as_str(), b.port), ("me", 9));
}

#[test]
fn errors_name_the_line() {
    for (config, expected) in [
        (
            "\nFoo 1\n",
            "config:2: bad configuration option `foo`; remove it, or name it in IgnoreUnknown above",
        ),
        (
            "Port 0",
            "config:1: port: `0` is not a port; expected 1 to 65535, or a service",
        ),
        ("User", "config:1: user: the argument is missing"),
        ("User \"a", "config:1: user: a quote is not closed"),
        (
            "BatchMode maybe",
            "config:1: batchmode: `maybe` is not one of yes, no, true, false",
        ),
        ("Match", "config:1: match: the argument is missing"),
        (
            "Match user",
            "config:1: match: the argument of `user` is missing",
        ),
        (
            "Match all host a",
            "config:1: match: `all` cannot be combined with other criteria",
        ),
        (
            "IdentityFile %z",
            "config:1: `%z`: the token `%z` is not known here; write `%%` for a percent sign",
        ),
        (
            "IdentityFile ${NOPE}",
            "config:1: `${NOPE}`: the environment has no variable `NOPE`; set it",
        ),
        ("HostName %", "config:1: `%`: a `%` at the end; write `%%`"),
    ] {
        assert_eq!(resolve(config, "h").unwrap_err(), expected, "{config}");
    }
    assert!(resolve("IgnoreUnknown foo,bar*\nFoo 1\nBarBar x", "h").is_ok());
    assert!(resolve("CanonicalDomains none\nUpdateHostKeys yes\nTag x", "h").is_ok());
}

#[test]
fn a_bad_line_concerns_the_hosts_of_its_block() {
    let text = "Host a\n Port x\nHost b\n Foo 1\n Include ~nobody-at-all/x\nHost c\n ProxyJump a:0\nHost d\n User\n\
                Match host e version OpenSSH_10*\n User e\nHost f\n IdentityFile %z\nHost g\n RefuseConnection \"is in repair\"\n\
                Host h\n Match=\nHost *\n User me\n";
    for (host, expected) in [
        (
            "a",
            "config:2: port: `x` is not a port; expected 1 to 65535, or a service",
        ),
        (
            "b",
            "config:4: bad configuration option `foo`; remove it, or name it in IgnoreUnknown above",
        ),
        (
            "c",
            "config:7: proxyjump: `a:0` is not a jump host; expected [USER@]HOST[:PORT]",
        ),
        ("d", "config:9: user: the argument is missing"),
        (
            "e",
            "config:10: match: `version` is not supported here, only by the system's ssh",
        ),
        (
            "f",
            "config:13: `%z`: the token `%z` is not known here; write `%%` for a percent sign",
        ),
        ("g", "config:15: RefuseConnection: is in repair"),
    ] {
        let text = text.replace("Host h\n Match=\n", "");
        assert_eq!(resolve(&text, host).unwrap_err(), expected, "{host}");
        assert_eq!(resolve(&text, "z").unwrap().user, "me");
    }
    // Nobody knows whom this block is for.
    assert_eq!(
        resolve(text, "z").unwrap_err(),
        "config:17: match: the argument is missing"
    );
}

#[test]
fn unknown_keywords_are_ignored_by_the_first_list_that_is_for_the_host() {
    let text = "Host a\n IgnoreUnknown foo\nHost *\n Foo 1\n";
    assert!(resolve(text, "a").is_ok());
    assert!(resolve(text, "b").is_err());
    assert!(resolve("Foo 1\nIgnoreUnknown foo", "a").is_err());
    assert!(resolve("IgnoreUnknown foo\nIgnoreUnknown bar\nBar 1", "a").is_err());
}

#[test]
fn what_only_ssh_does_is_named() {
    let missing = |text: &str| {
        let settings = resolve(text, "a").unwrap();
        let names = settings.unused.iter().filter(|option| option.is_missed);
        names
            .map(|option| option.name)
            .collect::<Vec<_>>()
            .join(",")
    };
    let text = "ForwardAgent yes\nRequestTTY auto\nLocalForward 1 b:2\nLocalForward 2 b:2\n\
                PKCS11Provider /lib/x.so\nGSSAPIAuthentication yes\nControlMaster auto\nLocalCommand true\n";
    assert_eq!(missing(text), "ForwardAgent,LocalForward,PKCS11Provider");
    let text = format!("ForwardAgent no\nClearAllForwardings yes\nPermitLocalCommand yes\n{text}");
    assert_eq!(missing(&text), "PKCS11Provider,LocalCommand");
    let kept = resolve("ControlPath ~/.ssh/c-%r@%h:%p", "a").unwrap();
    assert!(kept.control_path.unwrap().ends_with(".ssh/c-me@a:22"));
}

#[test]
fn files_that_others_may_write_are_refused() {
    let (_folder, facts) = home("User x");
    fs::set_permissions(&facts.user_file, fs::Permissions::from_mode(0o666)).unwrap();
    let error = UserConfig::load(facts, &Options::default()).unwrap_err();
    assert!(
        error.to_string().contains("bad owner or permissions"),
        "{error}"
    );
}

#[test]
fn a_file_that_includes_itself_ends() {
    assert!(
        resolve("Include config", "h")
            .unwrap_err()
            .contains("include one another")
    );
}

#[test]
fn each_command_of_match_exec_runs_once() {
    let (folder, facts) = home("");
    let log = folder.path().join("log");
    let line = format!(
        "Match exec \"echo %h >> {}; test %h = lb1\"\n",
        log.display()
    );
    let text = format!("{line} User a\n{line} Port 7\nMatch final\n Compression yes\n");
    write(&facts.user_file, &text);
    let config = UserConfig::load(facts, &Options::default()).unwrap();
    for _ in 0..3 {
        let one = config.resolve("lb1", Given::default()).unwrap();
        assert_eq!((one.user.as_str(), one.port), ("a", 7));
        assert!(one.compression);
        let two = config.resolve("lb2", Given::default()).unwrap();
        assert_eq!((two.user.as_str(), two.port), ("me", 22));
    }
    assert_eq!(fs::read_to_string(log).unwrap(), "lb1\nlb2\n");
}

#[test]
fn canonical_names_are_found_in_the_domains() {
    let text = "CanonicalizeHostname yes\nCanonicalDomains nowhere site.example\n\
                Host *.site.example\n User canonical\n";
    let settings = resolve(text, "lb1").unwrap();
    assert_eq!(
        (settings.host.as_str(), settings.user.as_str()),
        ("lb1.site.example", "canonical")
    );
    assert_eq!(resolve(text, "a.b.c").unwrap().host, "a.b.c");
    let strict =
        "CanonicalizeHostname yes\nCanonicalDomains nowhere\nCanonicalizeFallbackLocal no\n";
    assert_eq!(
        resolve(strict, "lb1").unwrap_err(),
        "lb1: not found in any of CanonicalDomains"
    );
    assert_eq!(resolve(strict, "127.0.0.1").unwrap().host, "127.0.0.1");
}

#[test]
fn proxies_exclude_each_other_and_know_tokens() {
    let jump = resolve("ProxyJump u@j1:3,[::1]:4,%h-gw\nProxyCommand x", "lb1").unwrap();
    let Proxy::Jump(hops) = jump.proxy else {
        panic!("{:?}", jump.proxy)
    };
    assert_eq!(
        hops.iter().map(|hop| hop.host.as_str()).collect::<Vec<_>>(),
        ["j1", "::1", "lb1-gw"]
    );
    let command = resolve("ProxyCommand nc %h %p # %r\nProxyJump j", "lb1").unwrap();
    assert_eq!(command.proxy, Proxy::Command("nc lb1 22 # me".to_owned()));
    assert_eq!(
        resolve("ProxyJump none\nProxyJump j", "x").unwrap().proxy,
        Proxy::Direct
    );
}

#[test]
fn paths_are_expanded() {
    let settings = resolve(
        "IdentityFile ~/k_%r_%n\nIdentityFile ~ops/k\nIdentityFile none\nUser x\nIdentityAgent ~/a_%C\n\
         UserKnownHostsFile none\nRevokedHostKeys ~/revoked\n",
        "LB1",
    )
    .unwrap();
    let names: Vec<_> = settings
        .auth
        .identity_files
        .iter()
        .map(|file| file.to_string_lossy())
        .collect();
    assert!(names[0].ends_with("/home/k_x_LB1"), "{names:?}");
    assert_eq!(&names[1..], ["/home/ops/k"]);
    let agent = settings.auth.agent.unwrap();
    assert_eq!(agent.file_name().unwrap().len(), 42);
    assert!(settings.host_keys.user_files.is_empty());
    assert!(
        settings
            .host_keys
            .revoked_file
            .unwrap()
            .ends_with("home/revoked")
    );
}

#[test]
fn ten_thousand_blocks_and_hosts_are_no_quadratic_matter() {
    let mut text = String::new();
    for n in 0..10_000 {
        text.push_str(&format!("Host n{n}\n Port {}\n", n % 60_000 + 1));
    }
    text.push_str("Host n*\n User fleet\n");
    let (_folder, facts) = home(&text);
    let config = UserConfig::load(facts, &Options::default()).unwrap();
    for n in 0..10_000 {
        let settings = config.resolve(&format!("n{n}"), Given::default()).unwrap();
        assert_eq!(
            (settings.port, settings.user.as_str()),
            (n as u16 + 1, "fleet")
        );
    }
}

proptest! {
    /// Whatever stands in the file, and whatever the host is called: a value or an error, never a panic.
    #[test]
    fn random_text_is_survived(
        text in r#"((Host|Match|Match host|User|Port|ProxyJump|IdentityFile|SendEnv|Include|\PC{0,6})[ =]?[%$~{}!*?,"'\\#@:\[\]a-z0-9]{0,12}[\n ]){0,12}"#,
        host in r"[\[\]:%@!*a-zA-Z0-9.]{0,12}",
    ) {
        let _ = resolve(&text, &host);
    }

    #[test]
    fn random_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (_folder, facts) = home("");
        if let Ok(config) = UserConfig::from_text(facts, "text", &bytes) {
            let _ = config.resolve("lb1", Given::default());
        }
    }
}

#[test]
fn what_may_wait_is_known_before() {
    for (config, waits) in [
        ("Host a\n User b\nMatch host c\n User d\n", false),
        ("Match exec true\n User b\n", true),
        ("Host a\n CanonicalizeHostname yes\n", true),
    ] {
        let (_folder, facts) = home(config);
        let config = UserConfig::load(facts, &Options::default()).unwrap();
        assert_eq!(config.waits(), waits);
    }
}
