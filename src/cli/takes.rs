//! Which options in front of a verb mean something to it. An option that a verb cannot honour is refused with the
//! reason, never ignored.

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::error::CliError;
use crate::report::{Audience, FORMATS};

/// What an option is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Which nodes.
    Nodes,
    /// How they are reached, and how many at one time.
    Reach,
    /// Who logs in, or did.
    Login,
    /// Whom to be on the nodes.
    Become,
    /// How long one node may take.
    Limits,
    /// Where HAProxy is asked.
    Sockets,
    /// Where HAProxy's master is asked.
    Masters,
    /// How answers are shown.
    Shown,
    /// One document or events for programs.
    Json,
    /// Files for what each node says.
    Files,
    /// How careful to be.
    Care,
    /// What the nodes are given to read.
    Input,
    /// What a command is.
    Command,
    /// How a command is rolled out.
    Rollout,
    /// Faults of the lab's nodes.
    Faults,
}

use Class::{
    Become, Care, Command, Faults, Files, Input, Json, Limits, Login, Masters, Nodes, Reach,
    Rollout, Shown, Sockets,
};

/// What verbs take that contact no node.
pub(crate) const NOTHING: &[Class] = &[];
/// What commands take.
pub(crate) const COMMAND: &[Class] = &[
    Nodes, Reach, Login, Become, Limits, Shown, Json, Files, Care, Input, Command, Rollout, Faults,
];
/// What other work on nodes takes.
pub(crate) const WORK: &[Class] = &[
    Nodes, Reach, Login, Become, Limits, Shown, Json, Files, Care, Faults,
];
/// What questions to HAProxy take.
pub(crate) const QUESTION: &[Class] = &[
    Nodes, Reach, Login, Become, Limits, Sockets, Shown, Json, Files, Care, Faults,
];
/// What changes of HAProxy's servers take.
pub(crate) const CHANGE: &[Class] = &[
    Nodes, Reach, Login, Become, Sockets, Masters, Shown, Json, Files, Care, Faults,
];
/// What changes of contents of HAProxy's memory take.
pub(crate) const CONTENT: &[Class] = &[
    Nodes, Reach, Login, Become, Sockets, Shown, Json, Files, Care, Faults,
];
/// What shows what was written down.
pub(crate) const RECORDS: &[Class] = &[Login, Json];
/// What the prompt takes.
pub(crate) const PROMPT: &[Class] = &[
    Nodes, Reach, Login, Become, Limits, Shown, Json, Care, Faults,
];
/// What services take.
pub(crate) const SERVICE: &[Class] = &[Nodes, Reach, Login, Care, Faults];
/// What the lab takes.
pub(crate) const LAB: &[Class] = &[Nodes, Json, Care, Faults];

/// Every option that can stand in front of any verb, by the name clap knows it by.
pub(super) static OPTIONS: &[(&str, Class)] = &[
    ("nodes", Nodes),
    ("exclude", Nodes),
    ("group", Nodes),
    ("exclude_group", Nodes),
    ("all", Nodes),
    ("hostfile", Nodes),
    ("failed_of", Nodes),
    ("pick", Nodes),
    ("expect", Nodes),
    ("lab", Nodes),
    ("faults", Faults),
    ("fanout", Reach),
    ("connect_timeout", Reach),
    ("deadline", Reach),
    ("user", Login),
    ("ssh_option", Reach),
    ("ssh_config", Reach),
    ("worker", Reach),
    ("topology", Reach),
    ("install_gateway", Reach),
    ("as_user", Become),
    ("command_timeout", Limits),
    ("idle", Limits),
    ("socket", Sockets),
    ("via", Sockets),
    ("master", Masters),
    ("blocks_all", Shown),
    ("diff", Shown),
    ("normalize", Shown),
    ("no_label", Shown),
    ("quiet", Shown),
    ("verbose", Shown),
    ("max_status", Shown),
    ("color", Shown),
    ("output", Json),
    ("outdir", Files),
    ("errdir", Files),
    ("dry_run", Care),
    ("yes", Care),
    ("stdin", Input),
    ("template", Command),
    ("script", Command),
    ("pty", Command),
    ("batch_sleep", Rollout),
    ("gate", Rollout),
    ("batch", Rollout),
    ("max_fail", Rollout),
    ("max_unreachable", Rollout),
    ("retry", Rollout),
];

/// Every option that can stand in front of any verb, those of the forms of output too.
fn options() -> impl Iterator<Item = (&'static str, Class)> {
    let forms = FORMATS.iter().filter(|format| format.switch.is_some());
    let forms = forms.map(|format| match format.audience {
        Audience::Programs => (format.name, Json),
        Audience::PeopleAtOnce | Audience::PeopleAtTheEnd => (format.name, Shown),
    });
    OPTIONS.iter().copied().chain(forms)
}

impl Class {
    /// Why a verb does not honour an option of this class.
    fn reason(self, name: &str, takes: &[Self]) -> String {
        if takes.is_empty() {
            return format!("`{name}` takes options of its own only");
        }
        match self {
            Nodes | Reach => format!("`{name}` contacts no nodes"),
            Login => format!("`{name}` logs in nowhere"),
            Become => format!("`{name}` does nothing on nodes that another user could do"),
            Limits if takes.contains(&Sockets) => {
                format!("each step of `{name}` has a limit of its own; --deadline limits the whole")
            }
            Limits => format!("`{name}` has limits of its own"),
            Sockets => format!("`{name}` asks no HAProxy"),
            Masters => format!("`{name}` asks no master of HAProxy"),
            Shown | Json => format!("the output of `{name}` has a form of its own"),
            Files => format!("`{name}` gives no output by nodes"),
            Care => format!("`{name}` asks nothing and changes nothing"),
            Input => format!("`{name}` gives the nodes nothing to read"),
            Command | Rollout => "it goes with a command only".to_owned(),
            Faults => format!("`{name}` knows no lab"),
        }
    }
}

/// Refuses the first option that was typed and means nothing to the verb of that name, which takes these classes.
///
/// # Errors
/// The option and the reason.
pub(super) fn refuse(
    (name, takes): (&str, &[Class]),
    matches: &ArgMatches,
    grammar: &clap::Command,
) -> Result<(), CliError> {
    for (id, class) in options() {
        if takes.contains(&class)
            || !matches.try_contains_id(id).unwrap_or(false)
            || matches.value_source(id) != Some(ValueSource::CommandLine)
        {
            continue;
        }
        let long = grammar
            .get_arguments()
            .find(|argument| argument.get_id() == id)
            .and_then(clap::Arg::get_long)
            .unwrap_or(id);
        return Err(CliError::usage(format!(
            "--{long} means nothing here: {}",
            class.reason(name, takes)
        )));
    }
    Ok(())
}
