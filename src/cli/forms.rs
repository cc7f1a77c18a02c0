//! The options that name a form of output, as the table of forms has them.

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::report::{self, FORMATS, Format};

/// The form of output that was typed, by `--output` or an option that is short for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chosen(pub Option<&'static Format>);

/// The name clap knows `--output` by.
const OUTPUT: &str = "output";

impl Args for Chosen {
    fn augment_args(command: Command) -> Command {
        let values = FORMATS
            .iter()
            .map(|format| PossibleValue::new(format.name).help(format.about));
        let names = FORMATS.iter().filter(|format| format.switch.is_some());
        let names: Vec<&str> = names.map(|format| format.name).chain([OUTPUT]).collect();
        let others = |own: &str| -> Vec<clap::Id> {
            let others = names.iter().filter(|name| **name != own);
            others.map(|name| clap::Id::from(*name)).collect()
        };
        let output = Arg::new(OUTPUT)
            .long(OUTPUT)
            .value_name("FORM")
            .value_parser(PossibleValuesParser::new(values))
            .help("The form of the output [text]")
            .global(true)
            .conflicts_with_all(others(OUTPUT));
        FORMATS.iter().fold(command.arg(output), |command, format| {
            let Some(switch) = format.switch else {
                return command;
            };
            let switch_only = Arg::new(format.name)
                .long(switch.long)
                .short(switch.short)
                .action(ArgAction::SetTrue)
                .help(switch.about)
                .global(true)
                .conflicts_with_all(others(format.name));
            command.arg(switch_only)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Chosen {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let named = matches.get_one::<String>(OUTPUT);
        let named = named.and_then(|name| report::by_name(name));
        let switched = |format: &&Format| format.switch.is_some() && matches.get_flag(format.name);
        Ok(Self(named.or_else(|| FORMATS.iter().find(switched))))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(words: &[&str]) -> Result<Option<&'static str>, clap::Error> {
        let command = Chosen::augment_args(Command::new("x"));
        let words = [&["x"], words].concat();
        let matches = command.try_get_matches_from(words)?;
        Ok(Chosen::from_arg_matches(&matches)?
            .0
            .map(|format| format.name))
    }

    #[test]
    fn a_form_has_a_name_and_a_switch() {
        for (words, name) in [
            (&[][..], None),
            (&["--output", "text"], Some("text")),
            (&["-b"], Some("blocks")),
            (&["--lines"], Some("lines")),
            (&["--json"], Some("json")),
            (&["--output=jsonl"], Some("jsonl")),
        ] {
            assert_eq!(chosen(words).unwrap(), name, "{words:?}");
        }
        for words in [
            ["-b", "-L"],
            ["--json", "--jsonl"],
            ["--json", "--output=text"],
        ] {
            assert!(chosen(&words).is_err(), "{words:?}");
        }
        assert!(chosen(&["--output", "xml"]).is_err());
    }

    /// `report/tally.rs` is a form of output for tests alone: one file and one row of the table.
    #[test]
    fn a_form_that_is_added_to_the_table_is_known_everywhere() {
        assert_eq!(chosen(&["--tally"]).unwrap(), Some("tally"));
        assert_eq!(chosen(&["--output", "tally"]).unwrap(), Some("tally"));
        let help = crate::cli::front::hash::command()
            .render_long_help()
            .to_string();
        assert!(
            help.contains("--tally") && help.contains("How much each node says"),
            "{help}"
        );
    }
}
