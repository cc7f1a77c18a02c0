//! The table of all maps or ACLs: `show map`, `show acl`.

use super::super::answer::{self, AnswerError};

/// A map or ACL as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its number, which another start of HAProxy may give to another.
    pub id: u64,
    /// The file; `None` for patterns of the configuration itself.
    pub file: Option<String>,
    /// Who uses it, in HAProxy's words.
    pub description: String,
    /// The version that is served.
    pub current: u64,
    /// The version that was prepared last.
    pub next: u64,
    /// How many entries all versions have together.
    pub entries: usize,
}

impl List {
    /// Whether somebody began a version that is not served yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.current != self.next
    }
}

/// Reads the table.
///
/// # Errors
/// When it is anything else, or not whole.
pub fn lists(text: &[u8]) -> Result<Vec<List>, AnswerError> {
    let text = answer::check(text)?;
    let rows = text
        .strip_prefix("# id (file) description\n")
        .ok_or_else(|| AnswerError::Shape(answer::quote(&text)))?;
    // Without any row there is nothing but the empty line that ends it.
    let rows = match rows {
        "\n" => "",
        rows => rows.strip_suffix("\n\n").ok_or(AnswerError::Cut)?,
    };
    rows.lines()
        .map(|line| row(line).ok_or_else(|| AnswerError::Shape(answer::quote(line))))
        .collect()
}

/// `3 (/etc/x/hosts.map) pattern loaded ... curr_ver=0 next_ver=0 entry_cnt=4`
fn row(line: &str) -> Option<List> {
    let (id, rest) = line.split_once(" (")?;
    // A name may have anything in it but what begins the description.
    let (file, rest) = rest.split_once(") ")?;
    let (rest, entries) = rest.rsplit_once(" entry_cnt=")?;
    let (rest, next) = rest.rsplit_once(" next_ver=")?;
    let (description, current) = rest.rsplit_once(" curr_ver=")?;
    Some(List {
        id: id.parse().ok()?,
        file: (!file.is_empty()).then(|| file.to_owned()),
        description: description.trim_end_matches('.').to_owned(),
        current: current.parse().ok()?,
        next: next.parse().ok()?,
        entries: entries.parse().ok()?,
    })
}
