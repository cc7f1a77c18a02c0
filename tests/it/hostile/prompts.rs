//! Questions of nodes, where somebody sits at a terminal: whose question it is stands in front of it.

use std::fs;

use super::server::{Fleet, Node};
use crate::lab::{Hash, Terminal};

#[test]
fn a_question_begins_with_the_name_of_who_asks() {
    let node = |name: &str, question| Node {
        asks: Some(question),
        ..Node::new(name)
    };
    let fleet = Fleet::start(
        vec![
            node("bad1", "\x1b[2JPassphrase for key '/root/.ssh/id_ed25519':"),
            node("bad2", "Password: "),
        ],
        None,
    );
    let config = fleet.config().display().to_string();
    for (name, question) in [
        (
            "bad1",
            "bad1: ?[2JPassphrase for key '/root/.ssh/id_ed25519': (for operator on all nodes): ",
        ),
        ("bad2", "bad2: Password for operator on all nodes: "),
    ] {
        let hash = Hash::new(["-F", &config, "-w", name, "--", "true"]);
        fs::write(hash.home().join("x"), "").unwrap();
        let mut terminal = Terminal::hash(hash, "dumb");
        assert_eq!(terminal.until(question), "");
        terminal.keys("sesame\r");
        // It asks for ever; it gets as many answers as one exchange may have.
        let (code, shown) = terminal.end();
        assert_eq!(code, Some(3), "{shown}");
        assert!(
            shown.contains(&format!("hash: {name}: permission denied for operator")),
            "{shown}"
        );
        let raw = String::from_utf8(terminal.bytes()).unwrap();
        assert!(!raw.contains('\x1b') && !raw.contains("sesame"), "{raw:?}");
    }
}
