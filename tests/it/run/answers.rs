//! `--diff` and `--normalize`, `--expect` and the typed confirmation, `-v`.

use super::{at_terminal, ended, exec, line, without_terminal};
use crate::lab::{Hash, Lab};

#[test]
fn what_most_say_is_shown_once_and_the_rest_as_differences() {
    let odd = "seq 4; case %h in n2|n4) echo odd;; n5) exit 3;; n6) echo why >&2;; esac";
    let ran = exec("n[1-7]", &["--diff", "--", odd]).run();
    assert_eq!(
        ran.stdout,
        "n[1,3,6-7]: 1\nn[1,3,6-7]: 2\nn[1,3,6-7]: 3\nn[1,3,6-7]: 4\n\
         --- n[1,3,6-7]\n+++ n[2,4]\n@@ -2,3 +2,4 @@\n 2\n 3\n 4\n+odd\n",
        "{ran}"
    );
    assert_eq!(ran.stderr, "n6: why\nhash: n5: exited with 3\n", "{ran}");
    let ran = exec(
        "n[1-3]",
        &[
            "--diff",
            "-b",
            "--color",
            "always",
            "--",
            "echo $((%n / 2))",
        ],
    )
    .run();
    assert_eq!(
        ran.stdout,
        "\u{1b}[34m---------------\nn[1-2] (2)\n---------------\n\u{1b}[0m0\n\
         \u{1b}[1m--- n[1-2]\u{1b}[0m\n\u{1b}[1m+++ n3\u{1b}[0m\n\u{1b}[96m@@ -1 +1 @@\u{1b}[0m\n\
         \u{1b}[91m-0\u{1b}[0m\n\u{1b}[92m+1\u{1b}[0m\n",
        "{ran}"
    );
}

#[test]
fn a_node_that_could_not_answer_is_no_difference() {
    let Some(lab) = Lab::sshd_only(3) else { return };
    lab.stop("lb3/sshd");
    let ran = lab
        .hash([
            "-w",
            "lb[1-3]",
            "--diff",
            "--normalize",
            "--",
            "echo I am $(hostname) on $(date)",
        ])
        .run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(3), "lb[1-2]: I am <host> on <time>\n"),
        "{ran}"
    );
    assert!(ran.stderr.contains("lb3: "), "{ran}");
}

#[test]
fn what_differs_from_node_to_node_by_nature_does_not_count() {
    let ran = exec(
        "web[1-3]",
        &[
            "--normalize",
            "--",
            "printf '%%s at 10.0.0.%%s, fe80::%%s since 2026-01-0%%sT10:00:00Z\n' %h %n %n %n; printf %h >&2",
        ],
    )
    .run();
    assert_eq!(
        ran.stdout, "web[1-3]: <host> at <addr>, <addr> since <time>\n",
        "{ran}"
    );
    assert_eq!(ran.stderr, "web[1-3]: <host>\n", "{ran}");
    let ran = exec(
        "web[1-2]",
        &["-B", "--normalize", "--", "echo %h; echo %h >&2"],
    )
    .run();
    assert_eq!(
        ran.stdout, "---------------\nweb[1-2] (2)\n---------------\n<host>\n<host>\n",
        "{ran}"
    );
    for other in ["-L", "--json", "--jsonl"] {
        for option in ["--normalize", "--diff"] {
            let ran = exec("n1", &[option, other, "--", "true"]).run();
            assert_eq!(ran.code, Some(64), "{ran}");
        }
    }
    let ran = exec("n1", &["--diff", "--", "true"])
        .config("output = 'json'")
        .run();
    assert_eq!(ran.code, Some(64), "{ran}");
    assert!(
        ran.stderr.contains("--diff goes with gathered text only"),
        "{ran}"
    );
}

#[test]
fn another_number_of_nodes_than_expected_is_refused() {
    let ran = exec("n[1-3]", &["--expect", "2", "--", "touch here"]).run();
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            Some(4),
            "hash: expected 2 nodes, but there are 3: n[1-3]; nothing was contacted\n"
        )
    );
    assert!(!ran.home.path().join("here").exists());
    assert_eq!(
        exec("n[1-3]", &["--expect", "3", "--", "true"]).run().code,
        Some(0)
    );
}

#[test]
fn much_is_confirmed_by_its_number() {
    let many = || exec("n[1-3]", &["--", "touch here"]).config("confirm_above = 2");
    let (mut command, home) = without_terminal(many());
    let (code, _, err) = ended(&mut command);
    assert_eq!(code, Some(4), "{err}");
    assert!(err.contains("nobody confirmed it at a terminal"), "{err}");
    assert!(!home.path().join("here").exists());
    let yes = exec("n[1-3]", &["--yes", "--", "true"]).config("confirm_above = 2");
    assert_eq!(yes.run().code, Some(0));
    let few = exec("n[1-2]", &["--", "true"]).config("confirm_above = 2");
    assert_eq!(few.run().code, Some(0));

    let home = Hash::new(["x"]);
    let words = ["-R", "exec", "-w", "n[1-3]", "--", "echo done"];
    let line = format!("HASH_CONFIRM_ABOVE=2 exec {}", line(&words));
    let question = "n[1-3] (3 nodes): echo done\r\nType the number of nodes to go on: ";
    for (answer, code, expected) in [
        ("3\n", 0, "n[1-3]: done"),
        ("4\n", 4, "that is not their number"),
        ("\x04", 4, "nobody confirmed it"),
        ("\x03", 4, "nobody confirmed it"),
    ] {
        let Some((exit, shown)) = at_terminal(&line, home.home(), &[(question, answer)]) else {
            return;
        };
        assert_eq!(exit, Some(code), "{shown}");
        assert!(shown.contains(expected), "{shown}");
        assert_eq!(shown.contains("n[1-3]: done"), code == 0, "{shown}");
    }
}

#[test]
fn verbose_says_what_is_asked_and_how() {
    let ran = exec("n[1-2]", &["-v", "--", "echo x"]).run();
    assert_eq!(ran.stderr, "hash: n[1-2]: echo x\n", "{ran}");
    let ran = exec("n[1-2]", &["-vv", "-f", "3", "-u", "9", "--", "echo x"]).run();
    assert_eq!(
        ran.stderr,
        "hash: n[1-2]: echo x\nhash: reached by a command here for each node, 3 at one time, connect 10s, command 9s\n"
    );
}

#[test]
fn what_each_node_says_goes_to_files_too() {
    let words = [
        "--outdir",
        "out",
        "--errdir",
        "err",
        "--",
        "echo %h; echo no %h >&2",
    ];
    let ran = exec("n[1-2]", &words).run();
    assert_eq!(ran.stdout, "n1: n1\nn2: n2\n", "{ran}");
    let read = |file: &str| std::fs::read_to_string(ran.home.path().join(file)).unwrap();
    assert_eq!(read("out/n1"), "n1\n");
    assert_eq!(read("out/n2"), "n2\n");
    assert_eq!(read("err/n2"), "no n2\n");
    let ran = exec("n1", &["--outdir", "/dev/null/x", "--", "true"]).run();
    assert!(ran.stderr.starts_with("hash: /dev/null/x"), "{ran}");
    assert_eq!(ran.code, Some(1), "{ran}");
}

#[test]
fn a_copy_to_many_is_confirmed_too() {
    for worker in ["native", "exec"] {
        let words = [
            "-R", worker, "-w", "n[1-3]", "copy", "file", "--dest", "/tmp/%h",
        ];
        let hash = Hash::new(words).config("confirm_above = 2");
        std::fs::write(hash.home().join("file"), "x").unwrap();
        let (mut command, _home) = without_terminal(hash);
        let (code, _, err) = ended(&mut command);
        assert_eq!(code, Some(4), "{err}");
        assert!(err.contains("nothing was contacted"), "{err}");
    }
}
