//! Colours for the states of servers, within lines that we made of answers.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

/// A server in service.
const WELL: Style = AnsiColor::Green.on_default();
/// One that somebody has taken out, or that is on its way.
const OUT: Style = AnsiColor::Yellow.on_default();
/// One that is down.
const DOWN: Style = AnsiColor::Red.on_default();

/// The style of a word such as `RUNNING/READY`; `None` for other words.
fn style(word: &str, has_reason: bool) -> Option<Style> {
    let (operational, admin) = word.split_once('/')?;
    let is_known = matches!(admin, "READY" | "DRAIN" | "MAINT");
    match operational {
        _ if !is_known => None,
        "RUNNING" if admin == "READY" && !has_reason => Some(WELL),
        "STOPPED" if admin == "READY" => Some(DOWN),
        "RUNNING" | "STARTING" | "STOPPING" | "STOPPED" => Some(OUT),
        other => other.starts_with("UNKNOWN(").then_some(DOWN),
    }
}

/// Writes a line with the states in it coloured. The text has no control characters.
pub(super) fn write(out: &mut impl Write, line: &str) -> io::Result<()> {
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(' ').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let (state, mark) = word.split_at(word.len() - usize::from(word.ends_with(',')));
        match style(state, after.starts_with(" (")) {
            Some(style) => write!(out, "{style}{state}{style:#}{mark}")?,
            None => out.write_all(word.as_bytes())?,
        }
        let blank = usize::from(!after.is_empty());
        out.write_all(&after.as_bytes()[..blank])?;
        rest = &after[blank..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_states_are_coloured() {
        for (line, expected) in [
            ("b/s: RUNNING/READY", "b/s: <32>RUNNING/READY<>"),
            (
                "b/s: RUNNING/READY (weight 0)",
                "b/s: <33>RUNNING/READY<> (weight 0)",
            ),
            ("b/s: STOPPED/READY", "b/s: <31>STOPPED/READY<>"),
            ("b/s: STOPPED/MAINT", "b/s: <33>STOPPED/MAINT<>"),
            (
                "i: RUNNING/READY: RUNNING/READY -> RUNNING/DRAIN, unchanged",
                "i: RUNNING/READY: <32>RUNNING/READY<> -> <33>RUNNING/DRAIN<>, unchanged",
            ),
            (
                "b/s: UNKNOWN(7)/READY weight=1",
                "b/s: <31>UNKNOWN(7)/READY<> weight=1",
            ),
            (
                "# b/f: operational_state/administrative_state ",
                "# b/f: operational_state/administrative_state ",
            ),
            ("b: 1/2 usable", "b: 1/2 usable"),
            ("", ""),
        ] {
            let mut out = Vec::new();
            write(&mut out, line).unwrap();
            let out = String::from_utf8(out).unwrap();
            let out = out.replace("\x1b[0m", "<>").replace("\x1b[3", "<3");
            assert_eq!(
                out.replace("1m", "1>")
                    .replace("2m", "2>")
                    .replace("3m", "3>"),
                expected
            );
        }
    }
}
