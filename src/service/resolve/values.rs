//! Values as numbers and times.

use std::time::Duration;

use crate::service::action::Delay;
use crate::service::variables::Value;

/// A whole number that is not negative.
pub(super) fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Text(text) => text.trim().parse().ok(),
        Value::None | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// A number of seconds that is not negative.
pub(super) fn seconds(value: &Value) -> Option<Duration> {
    let number = match value {
        #[expect(
            clippy::cast_precision_loss,
            reason = "more than 2^53 seconds are for ever"
        )]
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Text(text) => text.trim().parse().ok()?,
        Value::None | Value::Bool(_) | Value::List(_) | Value::Map(_) => return None,
    };
    Duration::try_from_secs_f64(number).ok()
}

pub(super) fn delay(value: &Value) -> Option<Delay> {
    seconds(value).map(|duration| Delay {
        duration,
        shown: value.to_string(),
    })
}
