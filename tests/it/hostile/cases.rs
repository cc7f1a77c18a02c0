//! The table of faults: what a node does, what becomes of it, and the exit code of a run with two good nodes beside it.

use super::server::{Answer, Kind, Node, Phase};

/// What is asked of the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Run,
    Copy,
    Fetch,
    Status,
    /// A command as another user.
    Become,
    /// A command on a node behind this one.
    Through,
}

/// A row.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// The chapter of the manual that it stands in.
    pub(super) part: &'static str,
    /// What the node does, in the words of the manual.
    pub(super) fault: String,
    pub(super) node: Node,
    pub(super) verb: Verb,
    /// The code of its outcome, or the exit status of its command.
    pub(super) outcome: Result<u8, &'static str>,
    /// What its message has in it.
    pub(super) says: &'static str,
    /// The exit code.
    pub(super) exit: i32,
    /// It says too much for a terminal to be looked at, or asks there.
    pub(super) off_terminal: bool,
}

/// What moves the cursor of a careless terminal and claims to be another node's.
const ESCAPES: &str = "\x1b[2J\x1b]0;gotcha\x07\r\x1b[1Alb1: hacked\u{202e}\u{9b}2J\n";

const UNREACHED: i32 = 3;

/// All of them.
pub(super) fn all() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(phases());
    all.extend(commands());
    all.extend(copies());
    all.extend(fetches());
    all.extend(sockets());
    all.extend(others());
    for (number, case) in all.iter_mut().enumerate() {
        case.node.name = format!("bad{number}");
    }
    all
}

/// A row about what a node gives on channels.
fn row(
    part: &'static str,
    fault: &str,
    (verb, node): (Verb, Node),
    (outcome, exit): (Result<u8, &'static str>, i32),
    says: &'static str,
) -> Case {
    Case {
        part,
        fault: fault.to_owned(),
        node,
        verb,
        outcome,
        says,
        exit,
        off_terminal: false,
    }
}

/// Each phase of a connection, gone wrong in each way.
fn phases() -> Vec<Case> {
    use Kind::{Drop, Flood, Garbage, Hang, Refuse, Slow};
    let lost = (Err("E_LOST"), UNREACHED);
    let protocol = (Err("E_PROTOCOL"), UNREACHED);
    let silent = (Err("E_HANDSHAKE_TIMEOUT"), UNREACHED);
    let late = (Err("E_TIMEOUT_COMMAND"), UNREACHED);
    let running = "may still be running";
    let no_status = ((Err("E_NO_STATUS"), 1), "ended without an exit status");
    let unreached = |code| (Err(code), UNREACHED);
    let good = ((Ok(0), 0), "");
    let no_answer = "connect timed out after 2s";
    let mut stranger = Node::new("");
    stranger.is_stranger = true;
    let stranger = row(
        part(Phase::Exchange),
        "shows another host key than the known one",
        (Verb::Run, stranger),
        unreached("E_HOSTKEY"),
        "CHANGED",
    );
    [
        (
            Phase::Connect,
            Refuse,
            (unreached("E_REFUSED"), "connection refused"),
        ),
        (
            Phase::Connect,
            Hang,
            (unreached("E_TIMEOUT_CONNECT"), no_answer),
        ),
        (
            Phase::Banner,
            Refuse,
            (unreached("E_MAXSTARTUPS"), "MaxStartups"),
        ),
        (Phase::Banner, Hang, (silent, "(no banner)")),
        (
            Phase::Banner,
            Drop,
            (unreached("E_CLOSED"), "closed before the SSH banner"),
        ),
        (
            Phase::Banner,
            Flood,
            (
                unreached("E_NOT_SSH"),
                "not an SSH server (got: ?[2J?]0;gotcha?",
            ),
        ),
        (
            Phase::Banner,
            Garbage,
            (silent, "no SSH banner within 2s (got: ?[2J"),
        ),
        (Phase::Banner, Slow, good),
        (
            Phase::Exchange,
            Refuse,
            (unreached("E_ALGORITHM"), "no common key exchange algorithm"),
        ),
        (
            Phase::Exchange,
            Hang,
            (silent, "no answer during SSH handshake"),
        ),
        (
            Phase::Exchange,
            Drop,
            (protocol, "closed during SSH handshake"),
        ),
        (Phase::Exchange, Flood, (protocol, "protocol error")),
        (Phase::Exchange, Garbage, (protocol, "protocol error")),
        (Phase::Exchange, Slow, good),
        (
            Phase::Login,
            Refuse,
            (unreached("E_AUTH"), "permission denied for operator"),
        ),
        (
            Phase::Login,
            Hang,
            (silent, "no answer during authentication"),
        ),
        (Phase::Login, Drop, (protocol, "lost during authentication")),
        (
            Phase::Login,
            Flood,
            (protocol, "lost during authentication"),
        ),
        (
            Phase::Login,
            Garbage,
            (protocol, "lost during authentication"),
        ),
        (Phase::Login, Slow, good),
        (
            Phase::Channel,
            Refuse,
            (unreached("E_SESSION_REFUSED"), "server refuses a session"),
        ),
        (
            Phase::Channel,
            Hang,
            (silent, "opened no session within 2s; nothing was run"),
        ),
        (Phase::Channel, Drop, (lost, "connection lost")),
        (Phase::Channel, Flood, (lost, "connection lost")),
        (Phase::Channel, Garbage, (lost, "connection lost")),
        (Phase::Channel, Slow, good),
        (
            Phase::Request,
            Refuse,
            (unreached("E_EXEC_REFUSED"), "refuses to run commands"),
        ),
        (
            Phase::Request,
            Hang,
            (silent, "did not say within 2s whether it runs the command"),
        ),
        (Phase::Request, Drop, (lost, running)),
        (Phase::Request, Flood, (lost, running)),
        (Phase::Request, Garbage, (lost, running)),
        (Phase::Request, Slow, good),
        (Phase::Output, Refuse, no_status),
        (Phase::Output, Hang, (late, running)),
        (Phase::Output, Drop, (lost, running)),
        (Phase::Output, Flood, (lost, running)),
        (Phase::Output, Garbage, (lost, running)),
        (Phase::Output, Slow, good),
        (Phase::End, Refuse, no_status),
        (Phase::End, Hang, (late, running)),
        (Phase::End, Drop, (lost, running)),
        (Phase::End, Flood, (lost, running)),
        (Phase::End, Garbage, (lost, running)),
        (Phase::End, Slow, good),
    ]
    .into_iter()
    .map(|(phase, kind, (ends, says))| {
        let mut node = Node::new("");
        node.fault = Some((phase, kind));
        row(
            part(phase),
            fault(phase, kind),
            (Verb::Run, node),
            ends,
            says,
        )
    })
    .chain([stranger])
    .collect()
}

fn part(phase: Phase) -> &'static str {
    match phase {
        Phase::Connect => "Before the connection",
        Phase::Banner => "Before the banner",
        Phase::Exchange => "During the key exchange",
        Phase::Login => "During the login",
        Phase::Channel => "When a session is opened",
        Phase::Request => "When a command is asked for",
        Phase::Output => "During the output",
        Phase::End => "Instead of an exit status",
    }
}

fn fault(phase: Phase, kind: Kind) -> &'static str {
    match (phase, kind) {
        (Phase::Banner, Kind::Refuse) => "sheds load, as sshd beyond its MaxStartups",
        (Phase::Exchange, Kind::Refuse) => "has no algorithm in common with us",
        (Phase::Output | Phase::End, Kind::Refuse) => "closes the channel in order",
        (_, Kind::Refuse) => "refuses",
        (_, Kind::Hang) => "says nothing any more",
        (_, Kind::Drop) => "closes the connection",
        (_, Kind::Flood) => "sends bytes without sense and without end",
        (_, Kind::Garbage) => "sends bytes without sense",
        (_, Kind::Slow) => "takes its time",
    }
}

/// A node whose commands give this.
fn gives(command: Answer) -> Node {
    Node {
        command,
        ..Node::new("")
    }
}

fn commands() -> Vec<Case> {
    const PART: &str = "What a command gives";
    let late = (Err("E_TIMEOUT_COMMAND"), UNREACHED);
    let mut endless = row(
        PART,
        "prints without end",
        (
            Verb::Run,
            gives(Answer::says("").repeats("there is more\n".repeat(1000))),
        ),
        late,
        "timed out after 4s",
    );
    endless.off_terminal = true;
    vec![
        row(
            PART,
            "prints what would move the cursor",
            (
                Verb::Run,
                gives(Answer::says(ESCAPES).complains(ESCAPES).exits(0)),
            ),
            (Ok(0), 0),
            "",
        ),
        endless,
        row(
            PART,
            "ends with a status that no process has",
            (Verb::Run, gives(Answer::says("").exits(u32::MAX))),
            (Ok(255), 1),
            "",
        ),
        row(
            PART,
            "is killed by a signal of an impossible name",
            (Verb::Run, gives(Answer::says("").dies("\x1b[2J\x07"))),
            (Err("E_SIGNAL"), 1),
            "",
        ),
    ]
}

fn copies() -> Vec<Case> {
    const PART: &str = "What a copy is answered";
    let exec_only = |command| (Verb::Copy, gives(command));
    // An SFTP server, as whoever runs no commands has it.
    let sftp = |subsystem: Answer| {
        let command = Answer::says("").exits(1);
        (
            Verb::Copy,
            Node {
                command,
                subsystem,
                ..Node::new("")
            },
        )
    };
    let version = [0, 0, 0, 5, 2, 0, 0, 0, 3];
    let then = |bytes: &[u8]| Answer::says([&version[..], bytes].concat());
    vec![
        row(
            PART,
            "says that all is well and proves nothing",
            exec_only(Answer::says("").exits(0)),
            (Err("E_EXEC_REFUSED"), UNREACHED),
            "so nothing was copied",
        ),
        row(
            PART,
            "takes nothing",
            exec_only(Answer::says("")),
            (Err("E_TIMEOUT_COMMAND"), UNREACHED),
            "timed out after 4s",
        ),
        row(
            PART,
            "complains in words that would move the cursor",
            exec_only(Answer::says("").complains(ESCAPES).exits(1)),
            (Ok(1), 1),
            "",
        ),
        row(
            PART,
            "has an SFTP server that is none",
            sftp(Answer::says(ESCAPES).closes()),
            (Ok(1), 1),
            "",
        ),
        row(
            PART,
            "has an SFTP server that says nothing more",
            sftp(then(&[])),
            (Err("E_TIMEOUT_COMMAND"), UNREACHED),
            "timed out after 4s",
        ),
        row(
            PART,
            "has an SFTP server with an answer of four gigabytes",
            sftp(then(&[0xff; 64])),
            (Ok(1), 1),
            "",
        ),
        row(
            PART,
            "has an SFTP server that answers what is not asked, without end",
            sftp(then(&[]).repeats([0, 0, 0, 5, 102, 0, 0, 0, 0].repeat(1000))),
            (Ok(1), 1),
            "",
        ),
    ]
}

/// A header of tar with this name, type, link and size, and what follows it.
fn tar(name: &str, flag: u8, link: &str, size: &str) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..124 + size.len()].copy_from_slice(size.as_bytes());
    block[156] = flag;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..263].copy_from_slice(b"ustar\0");
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn fetches() -> Vec<Case> {
    const PART: &str = "What a fetch is answered";
    let written = (Err("E_OUTPUT"), 1);
    let fetch = |answer: Answer| (Verb::Fetch, gives(answer));
    let file = |said: &str| Answer::says(format!("hapsh: file -rw-r--r-- 10 0\n{said}"));
    let folder = |members: &[Vec<u8>]| {
        let stream = [&[b"hapsh: folder\n".to_vec()], members].concat();
        Answer::says(stream.concat())
    };
    let end = vec![0; 1024];
    let pax = [tar("pax", b'x', "", "00001750"), vec![b'1'; 1024]].concat();
    let pax = [pax, vec![]].concat();
    // A link that says four thousand characters.
    let to = format!("4016 linkpath={}\n", "x".repeat(4001));
    let mut link = tar("pax", b'x', "", "7660");
    link.extend(to.into_bytes());
    link.resize(512 * 9, 0);
    link.extend(tar("l", b'2', "", "0"));
    let mut links = row(
        PART,
        "sends links without end",
        fetch(folder(&[]).repeats(link)),
        written,
        "it has too many links",
    );
    links.off_terminal = true;
    vec![
        row(
            PART,
            "sends less than it announced",
            fetch(file("short").exits(0)),
            (Err("E_LOST"), UNREACHED),
            "only a part of it came",
        ),
        row(
            PART,
            "sends more than it announced, without end",
            fetch(file("").repeats("more than that")),
            written,
            "sends more than the 10 bytes",
        ),
        row(
            PART,
            "describes a file in an unknown way",
            fetch(Answer::says("hapsh: \x1b[2J\n")),
            written,
            "in an unknown way",
        ),
        row(
            PART,
            "never says what it sends",
            fetch(Answer::says("").repeats(ESCAPES)),
            written,
            "says something else than was asked",
        ),
        row(
            PART,
            "sends a name that leads out of the folder",
            fetch(folder(&[
                tar("../../evil\x1b[2J", b'0', "", "0"),
                end.clone(),
            ])),
            written,
            "leads out of the folder",
        ),
        row(
            PART,
            "sends a link and then a file through it",
            fetch(
                folder(&[
                    tar("out", b'2', "/tmp", "0"),
                    tar("out/evil", b'0', "", "0"),
                    end.clone(),
                ])
                .exits(0),
            ),
            written,
            "File exists",
        ),
        row(
            PART,
            "sends a device",
            fetch(folder(&[tar("evil", b'3', "", "0")])),
            written,
            "not a regular file, folder or link",
        ),
        row(
            PART,
            "sends attributes that cannot be read",
            fetch(folder(&[pax])),
            written,
            "attributes cannot be read",
        ),
        links,
        row(
            PART,
            "sends more behind the end",
            fetch(folder(std::slice::from_ref(&end)).repeats("more")),
            written,
            "there is more behind its end",
        ),
        row(
            PART,
            "sends nothing after a part of a folder",
            fetch(folder(&[tar("a", b'0', "", "1000")])),
            (Err("E_TIMEOUT_COMMAND"), UNREACHED),
            "nothing was kept",
        ),
        row(
            PART,
            "sends what is no archive",
            fetch(folder(&[ESCAPES.repeat(100).into_bytes()])),
            written,
            "it is no tar stream",
        ),
    ]
}

fn sockets() -> Vec<Case> {
    const PART: &str = "What the socket of HAProxy answers";
    let late = (Err("E_TIMEOUT_COMMAND"), UNREACHED);
    let socket = |answer: Answer| {
        (
            Verb::Status,
            Node {
                socket: Some(answer),
                ..Node::new("")
            },
        )
    };
    let refuses = |command: Answer| (Verb::Status, gives(command));
    let mut flood = row(
        PART,
        "answers without end",
        socket(Answer::says("").repeats("# there is more\n".repeat(1000))),
        (Err("E_HAPROXY"), 1),
        "longer than 32 MiB",
    );
    flood.off_terminal = true;
    vec![
        row(
            PART,
            "nothing, for ever",
            socket(Answer::says("")),
            late,
            "no whole answer from HAProxy within 10s",
        ),
        row(
            PART,
            "what would move the cursor",
            socket(Answer::says(ESCAPES).closes()),
            (Err("E_HAPROXY"), 1),
            "",
        ),
        row(
            PART,
            "half of an answer",
            socket(Answer::says("1\n# be_id be_name srv_id\n3 web").closes()),
            (Err("E_HAPROXY"), 1),
            "",
        ),
        flood,
        row(
            PART,
            "not to be had, and the helper says nothing",
            refuses(Answer::says("")),
            late,
            "no whole answer from HAProxy within 10s",
        ),
        row(
            PART,
            "not to be had, and the helper says what would move the cursor",
            refuses(Answer::says(ESCAPES).complains(ESCAPES).exits(1)),
            (Err("E_SOCKET"), 1),
            "?[2J",
        ),
    ]
}

fn others() -> Vec<Case> {
    const SUDO: &str = "What sudo says (\\-\\-become)";
    const GATEWAY: &str = "What a gateway says";
    const PROMPT: &str = "What is asked at the login";
    let sudo = |answer: Answer| (Verb::Become, gives(answer));
    let gateway = |answer: Answer| (Verb::Through, gives(answer));
    let silent = (Err("E_HANDSHAKE_TIMEOUT"), UNREACHED);
    let no_way = (Err("E_CONNECT"), UNREACHED);
    let asks = |question| {
        let asks = Some(question);
        (
            Verb::Run,
            Node {
                asks,
                ..Node::new("")
            },
        )
    };
    let mut flood = row(
        SUDO,
        "words without end",
        sudo(Answer::says("").repeats("words\n".repeat(1000))),
        silent,
        "no answer of sudo within 2s",
    );
    flood.off_terminal = true;
    let mut secret = row(
        PROMPT,
        "a secret, over and over, where nobody sits at a terminal",
        asks("\x1b[2JPassphrase for /root/.ssh/id:"),
        (Err("E_AUTH"), UNREACHED),
        "permission denied for operator",
    );
    secret.off_terminal = true;
    vec![
        row(
            SUDO,
            "nothing, for ever",
            sudo(Answer::says("")),
            silent,
            "no answer of sudo within 2s",
        ),
        row(
            SUDO,
            "what would move the cursor, and ends",
            sudo(Answer::says("").complains(ESCAPES).exits(1)),
            (Err("E_EXEC_REFUSED"), UNREACHED),
            "sudo did not run the command: ?[2J",
        ),
        flood,
        row(
            GATEWAY,
            "nothing, for ever",
            gateway(Answer::says("")),
            no_way,
            "no route",
        ),
        row(
            GATEWAY,
            "what would move the cursor",
            gateway(Answer::says(ESCAPES).complains(ESCAPES).exits(1)),
            no_way,
            "no route",
        ),
        row(
            GATEWAY,
            "a line without end",
            gateway(Answer::says("").repeats("x".repeat(30_000))),
            no_way,
            "no route",
        ),
        secret,
        row(
            PROMPT,
            "nothing, over and over",
            asks(""),
            (Err("E_AUTH"), UNREACHED),
            "too many questions",
        ),
    ]
}
