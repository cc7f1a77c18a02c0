//! Whether to colour.

use crate::config::{Color, Environment};

/// Whether a stream is coloured: `--color` beats `NO_COLOR`, `CLICOLOR_FORCE` and `CLICOLOR`, in this order
/// (no-color.org, bixense.com/clicolors).
#[must_use]
pub(super) fn colored(choice: Color, environment: &Environment, is_terminal: bool) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if environment.get("NO_COLOR").is_some() => false,
        Color::Auto
            if environment
                .text("CLICOLOR_FORCE")
                .is_some_and(|value| value != "0") =>
        {
            true
        }
        Color::Auto
            if environment.text("CLICOLOR") == Some("0")
                || environment.text("TERM") == Some("dumb") =>
        {
            false
        }
        Color::Auto => is_terminal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn the_option_beats_the_environment() {
        let no = environment(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]);
        assert!(colored(Color::Always, &no, false));
        assert!(!colored(Color::Auto, &no, true));
        assert!(colored(
            Color::Auto,
            &environment(&[("CLICOLOR_FORCE", "1")]),
            false
        ));
        assert!(!colored(
            Color::Auto,
            &environment(&[("CLICOLOR_FORCE", "0")]),
            false
        ));
        assert!(!colored(
            Color::Auto,
            &environment(&[("CLICOLOR", "0")]),
            true
        ));
        assert!(!colored(
            Color::Never,
            &environment(&[("CLICOLOR_FORCE", "1")]),
            true
        ));
        assert!(colored(Color::Auto, &environment(&[]), true));
    }
}
