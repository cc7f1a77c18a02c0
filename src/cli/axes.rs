//! Which dimensions of node sets fold: `--axis`, else `fold_axis` of `defaults.conf`.

use crate::groups::Defaults;
use crate::nodeset::{Axes, RangeSet};

/// The axes of `--axis`: a range set that counts from 1, or one number that counts from the end.
///
/// # Errors
/// The message behind the program's name.
pub(super) fn axes(text: &str) -> Result<Axes, String> {
    if text.starts_with('-') {
        return text
            .parse()
            .map(from_end)
            .map_err(|_| format!("invalid literal for int() with base 10: '{text}'"));
    }
    let set = RangeSet::parse(text).map_err(|error| format!("Parse error: {error}"))?;
    // No name has more dimensions than this. Axis 0 is none.
    let these: Vec<usize> = (0..256)
        .filter(|axis| set.contains(&(axis + 1).to_string()))
        .collect();
    Ok(if these.is_empty() && set.contains("0") {
        Axes::All
    } else {
        Axes::These(these)
    })
}

/// The axes of `defaults.conf`.
pub(super) fn default_axes(defaults: &Defaults) -> Axes {
    match defaults.fold_axis.as_deref().unwrap_or_default() {
        [] => Axes::All,
        [axis] if *axis < 0 => from_end(*axis),
        axes => Axes::These(
            axes.iter()
                .filter_map(|axis| usize::try_from(*axis).ok())
                .collect(),
        ),
    }
}

fn from_end(axis: i64) -> Axes {
    Axes::FromEnd(usize::try_from(axis.unsigned_abs()).unwrap_or(usize::MAX))
}
