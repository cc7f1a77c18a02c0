//! Nodes whose SSH server is dropbear, with real HAProxy: it runs one command at a time well, and a second one on the same
//! connection only when the first is quite over.

use std::fs;

use crate::lab::Lab;

#[test]
fn relays_one_after_another_on_one_connection_all_answer() {
    let builder = Lab::builder(2).dropbear("lb1").dropbear("lb2");
    let Some(lab) = builder.start() else { return };
    for via in ["auto", "socat", "nc"] {
        for verb in [
            &["status", "puppet-i0-svc1"][..],
            &["disable", "puppet-i0-svc1"],
            &["enable", "--no-wait", "puppet-i0-svc1"],
        ] {
            let words = [&["-w", "lb[1-2]", "--via", via], verb].concat();
            for _ in 0..4 {
                let ran = lab.hash(&words).run();
                assert_eq!(ran.code, Some(0), "{words:?} {ran}");
            }
        }
    }
}

#[test]
fn commands_copies_and_fetches_work_there() {
    let builder = Lab::builder(2).dropbear("lb1").dropbear("lb2");
    let Some(lab) = builder.without_haproxy().start() else {
        return;
    };
    let ran = lab.hash(["-w", "lb[1-2]", "--", "echo in; exit 3"]).run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(1), "lb[1-2]: in\n"),
        "{ran}"
    );
    let hash = lab.hash([
        "-w",
        "lb[1-2]",
        "copy",
        "file",
        "--dest",
        "/run/haproxy/home/f",
    ]);
    fs::write(hash.home().join("file"), vec![7; 300_000]).unwrap();
    let ran = hash.run();
    assert_eq!(ran.code, Some(0), "{ran}");
    let ran = lab
        .hash([
            "-w",
            "lb[1-2]",
            "fetch",
            "/run/haproxy/home/f",
            "--dest",
            ".",
        ])
        .run();
    assert_eq!(ran.code, Some(0), "{ran}");
    for node in ["lb1", "lb2"] {
        let file = ran.home.path().join(format!("f.{node}"));
        assert!(fs::read(file).unwrap() == vec![7; 300_000], "{ran}");
    }
}
