//! Programs that lie: the real one with something between it and the judge.

use serde_json::Value;

use super::case::{Ask, Case};
use super::world::Run;

/// How one lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// It changes the first node only, and tells of all.
    Half,
    /// It writes no audit log.
    NoAudit,
    /// It ends with 0 whatever happened, and says nothing.
    Silent,
    /// It reports what it wanted as what it read.
    Wishful,
    /// Its audit log has the results and no intents.
    Late,
}

impl Mutant {
    pub(crate) const ALL: [Self; 5] = [
        Self::Half,
        Self::NoAudit,
        Self::Silent,
        Self::Wishful,
        Self::Late,
    ];

    /// The words that the real program gets.
    pub(crate) fn words(self, words: &[String]) -> Vec<String> {
        let mut words = words.to_vec();
        if self == Self::Half {
            let nodes = words.iter().position(|word| word == "-w").expect("-w") + 1;
            words[nodes] = "lb1".to_owned();
        }
        words
    }

    /// What it has in its environment.
    pub(crate) fn environment(self) -> Option<(&'static str, &'static str)> {
        (self == Self::NoAudit).then_some(("HASH_AUDIT", "off"))
    }

    /// What becomes of the report.
    pub(crate) fn lie(self, case: &Case, run: &mut Run) {
        match self {
            Self::NoAudit => {}
            Self::Half => {
                run.stdout = with_copies(case, &run.stdout);
                let of_lb1 = run.ledger.clone();
                for node in &case.nodes[1..] {
                    let copies = of_lb1.iter();
                    run.ledger
                        .extend(copies.map(|line| line.replace("\"lb1\"", &format!("\"{node}\""))));
                }
            }
            Self::Silent => {
                run.code = run.code.map(|_| 0);
                run.stderr.clear();
            }
            Self::Wishful => {
                let word = match case.ask {
                    Ask::Enable => "RUNNING/READY",
                    Ask::Disable => "STOPPED/MAINT",
                    Ask::Drain { then: None, .. } => "RUNNING/DRAIN",
                    Ask::Drain { .. } => "STOPPED/MAINT",
                    Ask::Weight(_) => return,
                };
                edit_rows(&mut run.stdout, |row| row["after"] = word.into());
            }
            Self::Late => run
                .ledger
                .retain(|line| !line.contains("\"kind\":\"intent\"")),
        }
    }
}

fn edit_rows(stdout: &mut String, edit: impl Fn(&mut Value)) {
    let Ok(mut document) = serde_json::from_str::<Value>(stdout) else {
        return;
    };
    for row in document["changes"].as_array_mut().into_iter().flatten() {
        edit(row);
    }
    *stdout = document.to_string();
}

/// The report with the rows of lb1 for the other nodes, too.
fn with_copies(case: &Case, stdout: &str) -> String {
    let Ok(mut document) = serde_json::from_str::<Value>(stdout) else {
        return stdout.to_owned();
    };
    for list in ["changes", "results"] {
        let own = document[list].as_array().cloned().unwrap_or_default();
        let mut all = own.clone();
        for node in &case.nodes[1..] {
            for mut row in own.clone() {
                row["node"] = (*node).into();
                all.push(row);
            }
        }
        document[list] = all.into();
    }
    document.to_string()
}
