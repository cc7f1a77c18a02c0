//! The wording of what the operator should know of a change.

use crate::exec::change::Note;

/// What differs in the wording from front to front.
#[derive(Debug, Clone)]
pub struct Words {
    /// How the program is called again with the same options.
    pub again: String,
    /// How a server that is out further is taken back to drain.
    pub force: String,
}

/// The most servers that a line names.
const NAMED: usize = 10;

/// A note as lines of standard error.
#[must_use]
pub fn lines(note: &Note, words: &Words) -> Vec<String> {
    let line = match note {
        Note::SeveralProcesses { nodes } => format!(
            "warning: {nodes}: HAProxy runs in several processes (nbproc), and only one of them answers"
        ),
        Note::OldWorkers { nodes } => format!(
            "warning: {nodes}: old workers still serve connections from before a reload; the change does not reach them"
        ),
        Note::OldSessionsUnknown { nodes } => format!(
            "note: {nodes}: sessions of old workers are not known, because no master socket answers; name it with --master"
        ),
        Note::Disagree { rows, more } => {
            let mut lines = vec![
                "warning: the nodes do not agree on these servers before the change:".to_owned(),
            ];
            lines.extend(rows.iter().map(|(nodes, row)| format!("{nodes}: {row}")));
            if *more > 0 {
                lines.push(format!("and on {more} more servers"));
            }
            return lines;
        }
        Note::Exceeded { nodes, servers } => format!(
            "note: {nodes}: in maintenance already, which is further out, and left so: {}; {}",
            some(servers),
            words.force
        ),
        Note::ChecksOff {
            nodes,
            servers,
            turned_on: true,
        } => format!(
            "note: {nodes}: the health checks of these are off and are turned on: {}",
            some(servers)
        ),
        Note::ChecksOff {
            nodes,
            servers,
            turned_on: false,
        } => format!(
            "warning: {nodes}: the health checks of these are off, so that nothing proves their health: {}",
            some(servers)
        ),
        Note::Agents { nodes, time } => format!(
            "note: {nodes}: agents speak for servers of this change and may undo it; looking again in {}",
            humantime::format_duration(*time)
        ),
        Note::Emptied { node, backends } => format!(
            "warning: {node}: no usable server will be left in {}",
            some(backends)
        ),
        Note::Ledger {
            error,
            before: true,
        } => format!("warning: {error}; the change goes on without"),
        Note::Ledger {
            error,
            before: false,
        } => format!("warning: {error}"),
        Note::Reloaded { nodes } => {
            format!("warning: {nodes}: HAProxy was reloaded in between; the change was made again")
        }
        Note::Waiting { what } => format!("waiting: {what}"),
        Note::WayBack { id: Some(id), .. } => {
            format!("to take it back: {} undo {id}", words.again)
        }
        Note::WayBack {
            nodes,
            id: None,
            verbs,
        } => {
            let again = &words.again;
            let line = |verb: &String| format!("to take it back: {again} -w '{nodes}' {verb}");
            return verbs.iter().map(line).collect();
        }
    };
    vec![line]
}

fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 {
        format!("{shown} and {more} more")
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_can_be_pasted() {
        let words = Words {
            again: "hapsh -F 'my config'".to_owned(),
            force: "--force drains them".to_owned(),
        };
        let nodes: crate::nodeset::NodeSet = ["lb1", "lb2"].into_iter().collect();
        let way = |id: Option<&str>| Note::WayBack {
            nodes: nodes.clone(),
            id: id.map(str::to_owned),
            verbs: vec!["enable b/s".to_owned()],
        };
        assert_eq!(
            lines(&way(Some("k3f9qx")), &words),
            ["to take it back: hapsh -F 'my config' undo k3f9qx"]
        );
        assert_eq!(
            lines(&way(None), &words),
            ["to take it back: hapsh -F 'my config' -w 'lb[1-2]' enable b/s"]
        );
    }

    #[test]
    fn no_line_names_servers_without_end() {
        let servers = (0..100).map(|number| format!("b/s{number}")).collect();
        let nodes = ["lb1"].into_iter().collect();
        let words = Words {
            again: "hash".to_owned(),
            force: "--force drains them".to_owned(),
        };
        let lines = lines(&Note::Exceeded { nodes, servers }, &words);
        assert!(
            lines[0].ends_with("b/s9 and 90 more; --force drains them"),
            "{lines:?}"
        );
    }
}
