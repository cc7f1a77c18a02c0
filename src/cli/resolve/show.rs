//! How a run is shown: the form of the output, colours, and what goes to files.

use std::sync::Arc;

use super::Asked;
use crate::cli::color::colored;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::exit::Statuses;
use crate::cli::outputs;
use crate::config::{Color, Output};
use crate::plan::NodeName;
use crate::report::files::{Files, Open};
use crate::report::{Form, Look};

/// The form of the output.
///
/// # Errors
/// A configuration that cannot be used.
pub fn output(asked: Asked<'_>) -> Result<Output, CliError> {
    let show = &asked.options.show;
    Ok(match (show.output, show.json, show.jsonl) {
        (Some(output), _, _) => output,
        (None, true, _) => Output::Json,
        (None, _, true) => Output::Jsonl,
        (None, false, false) => asked.site.values()?.output.unwrap_or(Output::Text),
    })
}

/// How the run is shown.
///
/// # Errors
/// Options that do not go together, or a configuration that cannot be used.
pub fn look(asked: Asked<'_>, console: &Console) -> Result<Look, CliError> {
    let show = &asked.options.show;
    let form = match output(asked)? {
        Output::Json => Form::Json,
        Output::Jsonl => Form::Jsonl,
        Output::Text if show.lines => Form::Lines,
        Output::Text if show.blocks || show.blocks_all => Form::Blocks,
        Output::Text => Form::Gathered,
    };
    let is_gathered = matches!(form, Form::Gathered | Form::Blocks);
    for (option, is_given) in [("--diff", show.diff), ("--normalize", show.normalize)] {
        if is_given && !is_gathered {
            return Err(CliError::usage(format!(
                "{option} goes with gathered text only, not with JSON or -L"
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
        form,
        labels: !show.no_label,
        merge_err: show.blocks_all,
        diff: show.diff,
        normalize: show.normalize,
        notes: !show.quiet,
        details: show.verbose > 0,
        color_out: colored(color, environment, out),
        color_err: colored(color, environment, err),
        escape_out: out,
        escape_err: err,
        progress: err && !show.quiet && matches!(form, Form::Gathered | Form::Blocks | Form::Lines),
        floor: console.floor.clone(),
        transfer: None,
    })
}

/// What a command's exit statuses mean, unless `-S` asks for the largest.
#[must_use]
pub fn statuses(asked: Asked<'_>, usual: Statuses) -> Statuses {
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
pub fn files(asked: Asked<'_>, names: &Arc<[NodeName]>) -> Result<Files<'static>, CliError> {
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
