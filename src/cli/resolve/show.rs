//! How a run is shown: the form of the output, colours, and what goes to files.

use std::sync::Arc;

use super::Invocation;
use crate::cli::color::colored;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::outputs;
use crate::config::Color;
use crate::plan::NodeName;
use crate::report::files::{Files, Open};
use crate::report::{self, Audience, FORMATS, Format, Look};
use crate::trace::Depth;

/// The form of the output.
///
/// # Errors
/// A configuration that cannot be used.
pub fn format(asked: Invocation<'_>) -> Result<&'static Format, CliError> {
    let show = &asked.options.show;
    if let Some(format) = show.form.0 {
        return Ok(format);
    }
    let config = asked.site.config()?;
    let name = match &config.values.output {
        _ if show.blocks_all => "blocks",
        Some(name) => name,
        None => report::usual().name,
    };
    report::by_name(name).ok_or_else(|| {
        let origin = config.origin("output").map(ToString::to_string);
        let origin = origin.unwrap_or_else(|| "output".to_owned());
        let known: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
        CliError::config(format!(
            "{origin}: unknown output `{name}`, expected one of {}",
            known.join(", ")
        ))
    })
}

/// How the run is shown.
///
/// # Errors
/// Options that do not go together, or a configuration that cannot be used.
pub fn look(asked: Invocation<'_>, console: &Console) -> Result<Look, CliError> {
    let show = &asked.options.show;
    let format = format(asked)?;
    for (option, is_given) in [("--diff", show.diff), ("--normalize", show.normalize)] {
        if is_given && format.audience != Audience::PeopleAtTheEnd {
            return Err(CliError::usage(format!(
                "{option} goes with gathered text only, not with JSON or -L"
            )));
        }
    }
    let is_text = format.audience != Audience::Programs;
    for (option, is_given) in [("-B", show.blocks_all), ("-N", show.no_label)] {
        if is_given && !is_text {
            return Err(CliError::usage(format!(
                "{option} goes with text only, not with JSON"
            )));
        }
    }
    let color = match show.color {
        Some(color) => color,
        None => asked.site.values()?.color.unwrap_or(Color::Auto),
    };
    let environment = &asked.site.environment;
    let (out, err) = (console.out_is_terminal, console.err_is_terminal);
    Ok(Look {
        program: asked.called.to_owned(),
        format,
        labels: !show.no_label,
        merge_err: show.blocks_all,
        diff: show.diff,
        normalize: show.normalize,
        disagree: None,
        rows: None,
        notes: !show.quiet,
        details: show.verbose > 0,
        color_out: colored(color, environment, out),
        color_err: colored(color, environment, err),
        escape_out: out,
        escape_err: err,
        progress: console.screen().filter(|_| !show.quiet && is_text),
        terminal_lock: console.terminal_lock.clone(),
        transfer: None,
    })
}

/// How much is told of the way to the nodes.
#[must_use]
pub fn depth(asked: Invocation<'_>) -> Depth {
    match asked.options.show.verbose {
        0 => Depth::Nothing,
        1 => Depth::Brief,
        _ => Depth::Full,
    }
}

/// What a command's exit statuses mean, unless `-S` asks for the largest.
#[must_use]
pub fn statuses(asked: Invocation<'_>, usual: Statuses) -> Statuses {
    if asked.options.show.max_status {
        Statuses::Largest
    } else {
        usual
    }
}

/// The files that `--outdir` and `--errdir` ask for.
///
/// # Errors
/// A folder that cannot be made, or a node whose name is no file name.
pub fn files(asked: Invocation<'_>, names: &Arc<[NodeName]>) -> Result<Files<'static>, CliError> {
    let folder = |folder: &Option<std::path::PathBuf>| -> Result<Option<Open<'static>>, CliError> {
        let made = folder.as_ref().map(|folder| outputs::folder(folder, names));
        made.transpose().map_err(|failed| {
            CliError::system(format!("{}: {}", failed.path.display(), failed.error))
        })
    };
    let show = &asked.options.show;
    let (out, err) = (folder(&show.outdir)?, folder(&show.errdir)?);
    Ok(Files::new(Arc::clone(names), out, err))
}
