//! How the arguments of keywords are read.

use std::time::Duration;

use super::algorithms::AlgorithmList;
use super::facts::parse_port;
use super::settings::{AddressFamily, HostKeyPolicy, Proxy};
use super::value::{Canonicalize, Value};
use super::{hop, words};

fn words(text: &str) -> Result<Vec<String>, String> {
    let words = words::split(text).ok_or("a quote is not closed")?;
    if words.iter().any(String::is_empty) {
        return Err("an argument is empty".to_owned());
    }
    Ok(words)
}

/// The first argument, whatever it is, of options that may have more.
pub(super) fn first(text: &str) -> Result<Value, String> {
    let words = words::split(text).ok_or("a quote is not closed")?;
    Ok(Value::Word(words.into_iter().next().unwrap_or_default()))
}

/// The one argument most keywords take.
pub(super) fn one(text: &str) -> Result<String, String> {
    let mut words = words(text)?.into_iter();
    match (words.next(), words.next()) {
        (Some(word), None) => Ok(word),
        (None, _) => Err("the argument is missing".to_owned()),
        (_, Some(extra)) => Err(format!("expected one argument, found also `{extra}`")),
    }
}

/// An argument out of a table, whatever its case.
fn choice<T: Copy>(text: &str, table: &[(&str, T)]) -> Result<T, String> {
    let word = one(text)?;
    let found = table
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(&word));
    found.map(|&(_, value)| value).ok_or_else(|| {
        let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
        format!("`{word}` is not one of {}", names.join(", "))
    })
}

pub(super) fn word(text: &str) -> Result<Value, String> {
    one(text).map(Value::Word)
}

pub(super) fn flag(text: &str) -> Result<Value, String> {
    let table = [
        ("yes", true),
        ("no", false),
        ("true", true),
        ("false", false),
    ];
    choice(text, &table).map(Value::Flag)
}

/// A flag with two more ways to say yes, which differ only in a restriction of agent forwarding.
pub(super) fn pubkey(text: &str) -> Result<Value, String> {
    let table = [
        ("yes", true),
        ("no", false),
        ("true", true),
        ("false", false),
        ("unbound", true),
        ("host-bound", true),
    ];
    choice(text, &table).map(Value::Flag)
}

pub(super) fn family(text: &str) -> Result<Value, String> {
    let table = [
        ("any", AddressFamily::Any),
        ("inet", AddressFamily::Inet),
        ("inet6", AddressFamily::Inet6),
    ];
    choice(text, &table).map(Value::Family)
}

pub(super) fn policy(text: &str) -> Result<Value, String> {
    let table = [
        ("yes", HostKeyPolicy::Strict),
        ("true", HostKeyPolicy::Strict),
        ("ask", HostKeyPolicy::Ask),
        ("accept-new", HostKeyPolicy::AcceptNew),
        ("no", HostKeyPolicy::Off),
        ("false", HostKeyPolicy::Off),
        ("off", HostKeyPolicy::Off),
    ];
    choice(text, &table).map(Value::Policy)
}

pub(super) fn canonicalize(text: &str) -> Result<Value, String> {
    let table = [
        ("yes", Canonicalize::Direct),
        ("true", Canonicalize::Direct),
        ("no", Canonicalize::No),
        ("false", Canonicalize::No),
        ("always", Canonicalize::Always),
    ];
    choice(text, &table).map(Value::Canonicalize)
}

/// `QUIET` and above say less than a normal run does; the value is whether warnings are wanted.
pub(super) fn log_level(text: &str) -> Result<Value, String> {
    let table = [
        ("quiet", false),
        ("fatal", false),
        ("error", false),
        ("silent", false),
        ("info", true),
        ("verbose", true),
        ("debug", true),
        ("debug1", true),
        ("debug2", true),
        ("debug3", true),
    ];
    choice(text, &table).map(Value::Flag)
}

/// How often; once at least.
pub(super) fn attempts(text: &str) -> Result<Value, String> {
    let number = number(text)?;
    if matches!(number, Value::Number(0)) {
        return Err("`0` is no number of attempts".to_owned());
    }
    Ok(number)
}

pub(super) fn number(text: &str) -> Result<Value, String> {
    let word = one(text)?;
    let number = word
        .parse()
        .ok()
        .filter(|&number| number <= i32::MAX as u32);
    number
        .map(Value::Number)
        .ok_or_else(|| format!("`{word}` is not a number"))
}

pub(super) fn port(text: &str) -> Result<Value, String> {
    let word = one(text)?;
    parse_port(&word)
        .map(Value::Port)
        .ok_or_else(|| format!("`{word}` is not a port; expected 1 to 65535, or a service"))
}

pub(super) fn time(text: &str) -> Result<Value, String> {
    let word = one(text)?;
    if word == "none" {
        return Ok(Value::Time(None));
    }
    seconds(&word)
        .map(|seconds| Value::Time(Some(Duration::from_secs(seconds))))
        .ok_or_else(|| format!("`{word}` is not a time; expected seconds, or such as 1m30s"))
}

/// A time as in sshd_config(5), TIME FORMATS: `90`, `1m30s`, `2h`, `1w`.
fn seconds(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().ok()?;
        let mut letters = rest[digits..].chars();
        let unit = match letters.next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => 60,
            Some('h' | 'H') => 3600,
            Some('d' | 'D') => 86_400,
            Some('w' | 'W') => 604_800,
            Some(_) => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = letters.as_str();
    }
    (!text.is_empty() && total <= i32::MAX as u64).then_some(total)
}

pub(super) fn algorithms(text: &str) -> Result<Value, String> {
    one(text).map(|word| Value::Algorithms(AlgorithmList::parse(&word)))
}

/// Several words, or `none` alone. Without any it says nothing.
pub(super) fn list(text: &str) -> Result<Value, String> {
    let words = words(text)?;
    if words.len() > 1 && words.iter().any(|word| word.eq_ignore_ascii_case("none")) {
        return Err("`none` must stand alone".to_owned());
    }
    Ok(Value::Words(words))
}

pub(super) fn send_env(text: &str) -> Result<Value, String> {
    let words = words(text)?;
    match words.iter().find(|word| word.contains('=')) {
        Some(word) => Err(format!("`{word}` is not a name of an environment variable")),
        None => Ok(Value::Words(words)),
    }
}

pub(super) fn set_env(text: &str) -> Result<Value, String> {
    let words = words(text)?;
    match words.iter().find(|word| !word.contains('=')) {
        Some(word) => Err(format!("`{word}` is not of the form NAME=VALUE")),
        None => Ok(Value::Words(words)),
    }
}

/// The rest of the line as it stands, for the user's shell.
pub(super) fn command(text: &str) -> Result<Value, String> {
    let command = text.trim_start_matches([' ', '\t', '=']);
    if command.is_empty() {
        return Err("the command is missing".to_owned());
    }
    let proxy = if command.eq_ignore_ascii_case("none") {
        Proxy::Direct
    } else {
        Proxy::Command(command.to_owned())
    };
    Ok(Value::Proxy(proxy, String::new()))
}

pub(super) fn jump(text: &str) -> Result<Value, String> {
    Ok(match hop::parse(text)? {
        Some((hops, text)) => Value::Proxy(Proxy::Jump(hops), text.to_owned()),
        None => Value::Proxy(Proxy::Direct, String::new()),
    })
}

/// The rest of the line, for people.
pub(super) fn text(text: &str) -> Result<Value, String> {
    let words = words(text)?;
    Ok(Value::Word(words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, expected) in [
            ("90", Some(90)),
            ("1m30", Some(90)),
            ("1h", Some(3600)),
            ("2w1D", Some(1_296_000)),
            ("", None),
            ("m", None),
            ("1x", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("3551w", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
