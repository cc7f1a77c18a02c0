//! The counters of `show stat`, found by the names of their columns
//! (HAProxy management guide, section 9.1, "CSV format").

use std::collections::BTreeSet;

use super::answer::{self, AnswerError, columns};
use super::name::ServerName;

/// A server's row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Backend and server.
    pub name: ServerName,
    /// The status in HAProxy's words: `UP`, `UP 1/2`, `DOWN`, `MAINT`, `DRAIN`, `NOLB`, `no check`, ...
    pub status: String,
    /// Sessions now.
    pub sessions: u64,
    /// Requests that wait for it.
    pub queued: u64,
    /// Its weight now, warming up included.
    pub weight: u32,
    /// The last check's code, such as `L7OK`; empty without a check.
    pub check: String,
    /// How many checks must fail until it is down.
    pub fall: Option<u32>,
    /// The server whose state it follows.
    pub tracked: Option<ServerName>,
}

impl Counters {
    /// Whether its health is beyond doubt. Right after maintenance HAProxy supposes a server up and
    /// says so with a fraction (`UP 1/2`) until enough checks have passed.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        matches!(self.status.as_str(), "UP" | "no check")
    }

    /// Whether it can be `UP` without a check having passed: with `fall 1` there is no fraction.
    #[must_use]
    pub fn is_quick_to_judge(&self) -> bool {
        self.status == "UP" && self.fall == Some(1)
    }

    /// Whether nobody uses it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sessions == 0 && self.queued == 0
    }
}

/// What `show stat` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stat {
    /// The servers, in the order of the configuration.
    pub servers: Vec<Counters>,
    /// The backends that take no clients.
    pub unpublished: BTreeSet<String>,
}

/// The numbers in the column `type`.
const BACKEND: &str = "1";
const SERVER: &str = "2";

/// What stands behind the status of a backend that takes no clients (HAProxy 3.5).
const UNPUBLISHED: &str = "(UNPUB)";

/// The servers' rows of `show stat`, in the order of the configuration.
///
/// # Errors
/// When the answer is anything else or not whole.
pub fn rows(answer: &[u8]) -> Result<Vec<Counters>, AnswerError> {
    Ok(read(answer)?.servers)
}

/// The servers and backends of `show stat`.
///
/// # Errors
/// When the answer is anything else or not whole.
pub fn read(answer: &[u8]) -> Result<Stat, AnswerError> {
    let text = answer::check(answer)?;
    let Some(table) = text
        .strip_prefix("# ")
        .filter(|text| text.starts_with("pxname,svname,"))
    else {
        return Err(AnswerError::Shape(
            text.lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(200)
                .collect(),
        ));
    };
    let table = table.strip_suffix("\n\n").ok_or(AnswerError::Cut)?;
    let (header, mut rest) = table.split_once('\n').unwrap_or((table, ""));
    let header: Vec<&str> = header.split(',').collect();
    let wanted = columns(&header, COLUMNS)?;
    let mut stat = Stat::default();
    let mut fields = Vec::with_capacity(header.len());
    while !rest.is_empty() {
        rest = record(rest, &mut fields);
        if fields.len() < header.len() {
            return Err(AnswerError::Shape(format!(
                "a row of {} columns",
                fields.len()
            )));
        }
        let row = wanted.map(|column| fields[column].as_str());
        let [backend, server, kind, status, ..] = row;
        match kind {
            BACKEND if status.split(' ').any(|word| word == UNPUBLISHED) => {
                stat.unpublished.insert(backend.to_owned());
            }
            SERVER if !answer::is_internal_proxy(backend, server) => {
                stat.servers.push(counters(row)?);
            }
            _ => {}
        }
    }
    Ok(stat)
}

/// The columns that are needed, in the order in which [`counters`] takes them.
const COLUMNS: [&str; 10] = [
    "pxname",
    "svname",
    "type",
    "status",
    "scur",
    "qcur",
    "weight",
    "check_status",
    "check_fall",
    "tracked",
];

/// A server's row.
fn counters(row: [&str; COLUMNS.len()]) -> Result<Counters, AnswerError> {
    let [
        backend,
        server,
        _,
        status,
        sessions,
        queued,
        weight,
        check,
        fall,
        tracked,
    ] = row;
    let name = answer::row_name(backend, server)?;
    Ok(Counters {
        status: status.to_owned(),
        sessions: number(sessions, &name)?,
        queued: number(queued, &name)?,
        weight: number(weight, &name)?,
        check: check.trim_start_matches("* ").to_owned(),
        fall: fall.parse().ok(),
        tracked: (!tracked.is_empty())
            .then(|| ServerName::parse(tracked))
            .transpose()
            .map_err(|error| AnswerError::Shape(format!("tracked: {error}")))?,
        name,
    })
}

/// The servers' rows of several answers in a row, as the master gives them for several workers. A worker that ended
/// meanwhile is only named in a line.
///
/// # Errors
/// When one of them is not whole.
pub fn rows_of_several(answer: &[u8]) -> Result<Vec<Counters>, AnswerError> {
    let text = answer::check(answer)?;
    let mut all = Vec::new();
    for table in text.split(HEAD).skip(1) {
        let end = table.find("\n\n").ok_or(AnswerError::Cut)?;
        all.extend(rows(format!("{HEAD}{}", &table[..end + 2]).as_bytes())?);
    }
    Ok(all)
}

/// How a table begins.
const HEAD: &str = "# pxname,svname,";

/// A table as it is: the names of its columns, and its records. `None` if it is none.
pub fn table(text: &str) -> Option<(Vec<&str>, impl Iterator<Item = Vec<String>>)> {
    let table = text.strip_prefix("# ")?;
    table.starts_with("pxname,svname,").then_some(())?;
    let (header, mut rest) = table.split_once('\n').unwrap_or((table, ""));
    let records = std::iter::from_fn(move || {
        let mut fields = Vec::new();
        (!rest.is_empty()).then(|| rest = record(rest, &mut fields))?;
        Some(fields)
    });
    Some((header.split(',').collect(), records))
}

/// A number of a row; HAProxy leaves out what does not apply.
fn number<T: std::str::FromStr + Default>(text: &str, name: &ServerName) -> Result<T, AnswerError> {
    if text.is_empty() {
        return Ok(T::default());
    }
    text.parse()
        .map_err(|_| AnswerError::Shape(format!("{name}: `{text}` is no number")))
}

/// Takes one record off the text and gives the rest. Fields with a comma, quote or line break are quoted
/// and their quotes doubled.
fn record<'a>(text: &'a str, fields: &mut Vec<String>) -> &'a str {
    fields.clear();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let Some(end) = rest.find('"') else {
                    field.push_str(rest);
                    rest = "";
                    break;
                };
                field.push_str(&rest[..end]);
                rest = &rest[end + 1..];
                match rest.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        rest = more;
                    }
                    None => break,
                }
            }
        }
        let end = rest.find([',', '\n']).unwrap_or(rest.len());
        field.push_str(&rest[..end]);
        fields.push(field);
        match rest.as_bytes().get(end) {
            Some(b',') => rest = &rest[end + 1..],
            Some(_) => return &rest[end + 1..],
            None => return "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &[u8] = include_bytes!("../../tests/recorded/haproxy/stat.txt");

    #[test]
    fn counters_of_a_real_haproxy() {
        let rows = rows(STAT).unwrap();
        assert_eq!(rows.len(), 36, "one per server, none for the backends");
        let row = |name: &str| rows.iter().find(|row| row.name.as_str() == name).unwrap();
        for (name, status, healthy) in [
            ("http/http-svc1", "DRAIN", false),
            ("http/http-svc2", "MAINT", false),
            ("ldap/ldap-svc1", "UP", true),
            ("x_nocheck/http-svc1", "no check", true),
            ("x_track/http-svc2", "MAINT (via http/http-svc2)", false),
            ("x_soft/soft-svc2", "NOLB", false),
        ] {
            assert_eq!(
                (row(name).status.as_str(), row(name).is_healthy()),
                (status, healthy),
                "{name}"
            );
        }
        assert_eq!(row("ldap/ldap-svc1").check, "L4OK");
        assert_eq!(row("ldap/ldap-svc2").weight, 0);
        assert_eq!(
            row("x_track/http-svc1").tracked,
            Some(ServerName::parse("http/http-svc1").unwrap())
        );
        assert_eq!(row("http/http-svc1").fall, Some(2));
    }

    #[test]
    fn a_backend_may_be_unpublished() {
        let text = "# pxname,svname,type,status,scur,qcur,weight,check_status,check_fall,tracked,\n\
            a,BACKEND,1,UP (UNPUB),0,0,1,,,,\nb,BACKEND,1,UP,0,0,1,,,,\nb,s,2,UP,0,0,1,,,,\n\n";
        let stat = read(text.as_bytes()).unwrap();
        assert_eq!(stat.unpublished, BTreeSet::from(["a".to_owned()]));
        assert_eq!(stat.servers.len(), 1);
    }

    #[test]
    fn a_cut_table_is_never_taken() {
        for end in 0..STAT.len() {
            assert!(rows(&STAT[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn answers_of_several_workers() {
        let one = "# pxname,svname,type,status,scur,qcur,weight,check_status,check_fall,tracked,\n\
            b,s,2,UP,3,0,1,,,,\n\n";
        let gone = "Can't find the target PID matching the prefix '@!99'\n";
        for (answer, count) in [
            (format!("{one}{one}"), 2),
            (format!("{gone}{one}"), 1),
            (gone.to_owned(), 0),
        ] {
            assert_eq!(rows_of_several(answer.as_bytes()).unwrap().len(), count);
        }
        assert!(rows_of_several(format!("{one}{}", &one[..one.len() - 1]).as_bytes()).is_err());
    }

    #[test]
    fn quoted_fields() {
        let mut fields = Vec::new();
        let rest = record("a,\"b,\"\"c\"\"\nd\",,\nnext", &mut fields);
        assert_eq!(fields, ["a", "b,\"c\"\nd", "", ""]);
        assert_eq!(rest, "next");
    }
}
