//! What Slurm knows of its nodes: which of them it would not run anything on, and why (sinfo(1), NODE STATE CODES).

use std::collections::HashMap;

use crate::event::{ErrorCode, Failure};

/// What sinfo is asked: a line for each node and partition, with state and reason.
pub(super) const QUESTION: [&str; 4] = ["-h", "-N", "-o", "%N|%T|%E"];

/// What is wrong with the nodes, by name; `None` for those with which nothing is.
pub(super) fn parse(answer: &str) -> HashMap<&str, Option<Failure>> {
    answer
        .lines()
        .filter_map(|line| {
            let mut parts = line.trim().splitn(3, '|');
            let (node, state, reason) = (parts.next()?, parts.next()?, parts.next()?);
            Some((node, trouble(state, reason)))
        })
        .collect()
}

fn trouble(state: &str, reason: &str) -> Option<Failure> {
    let name = state.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let bad = ["down", "drain", "fail", "error", "unknown"];
    let flags = &state[name.len()..];
    let what = if bad.iter().any(|bad| name.starts_with(bad)) {
        format!("is {name}")
    } else if flags.contains('*') {
        "does not respond".to_owned()
    } else {
        return None;
    };
    let reason = match reason.trim() {
        "" | "none" => String::new(),
        reason => format!(": {reason}"),
    };
    Some(Failure::new(
        ErrorCode::Connect,
        format!("node {what} in Slurm{reason}"),
    ))
}

/// The failure of a node that Slurm does not have.
pub(super) fn unknown() -> Failure {
    Failure::new(
        ErrorCode::Resolve,
        "Slurm knows no such node (see sinfo -N)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_run_nothing_say_why() {
        let answer = "n1|idle|none\nn2|drained|bad dimm\nn3|down*|Not responding\nn4|mixed*|none\nn5|draining|a|b\nn6|allocated|none\nn1|idle|none\n";
        let found = parse(answer);
        let text = |node: &str| found[node].as_ref().map(|failure| failure.message.as_str());
        assert_eq!(text("n1"), None);
        assert_eq!(text("n6"), None);
        assert_eq!(text("n2"), Some("node is drained in Slurm: bad dimm"));
        assert_eq!(text("n3"), Some("node is down in Slurm: Not responding"));
        assert_eq!(text("n4"), Some("node does not respond in Slurm"));
        assert_eq!(text("n5"), Some("node is draining in Slurm: a|b"));
    }
}
