//! What a scalar without quotes is in YAML 1.1 (<https://yaml.org/type/>), as PyYAML decides it for the originals.

/// The value of a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'t> {
    /// Nothing, or `null`.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A date, or a number of more digits than fit; its text.
    Other(&'t str),
    /// Text.
    Text(&'t str),
}

/// Decides what a scalar without quotes and tag is.
pub(super) fn resolve(text: &str) -> Scalar<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        _ if is_date(text) => Scalar::Other(text),
        _ => number(text).unwrap_or(Scalar::Text(text)),
    }
}

fn number(text: &str) -> Option<Scalar<'_>> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some((digits, radix)) = whole(digits) {
        let number = i64::from_str_radix(&digits.replace('_', ""), radix);
        let signed = |number: i64| Scalar::Int(if negative { -number } else { number });
        return Some(number.map_or(Scalar::Other(text), signed));
    }
    if digits.contains(':') {
        return base_60(digits, negative).map(|number| number.unwrap_or(Scalar::Other(text)));
    }
    let number = match digits {
        ".nan" | ".NaN" | ".NAN" if digits.len() == text.len() => f64::NAN,
        ".inf" | ".Inf" | ".INF" => f64::INFINITY,
        _ if digits.starts_with('.') && digits.len() < text.len() => return None,
        _ => fraction(digits)?,
    };
    Some(Scalar::Float(if negative { -number } else { number }))
}

/// The digits of a whole number, `_` among them, and their base.
fn whole(digits: &str) -> Option<(&str, u32)> {
    let all = |digits: &str, radix| !digits.is_empty() && digits.chars().all(is_digit(radix));
    let (digits, radix) = if let Some(binary) = digits.strip_prefix("0b") {
        (binary, 2)
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        (hexadecimal, 16)
    } else if digits.starts_with('0') {
        (digits, 8)
    } else {
        (digits, 10)
    };
    let fits = all(digits, radix) && (radix != 10 || !digits.starts_with('_'));
    fits.then_some((digits, radix))
}

fn is_digit(radix: u32) -> impl Fn(char) -> bool {
    move |letter| letter == '_' || letter.is_digit(radix)
}

/// `1:30` is ninety and `1:30.5` half more; `Some(None)` for what is such a number and does not fit.
fn base_60(digits: &str, negative: bool) -> Option<Option<Scalar<'static>>> {
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let mut parts = whole.split(':');
    let first = parts.next()?;
    let lowest = if fraction.is_some() { '0' } else { '1' };
    let fits = first.starts_with(|first| (lowest..='9').contains(&first))
        && first.chars().all(is_digit(10))
        && parts
            .clone()
            .all(|part| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']))
        && fraction.is_none_or(|fraction| fraction.chars().all(is_digit(10)));
    if !fits {
        return None;
    }
    let total = parts.try_fold(first.replace('_', "").parse::<i64>().ok(), |total, part| {
        let part: i64 = part.parse().ok()?;
        Some(total.and_then(|total| total.checked_mul(60)?.checked_add(part)))
    })?;
    let signed = |total: i64| if negative { -total } else { total };
    Some(match fraction {
        None => total.map(|total| Scalar::Int(signed(total))),
        Some(fraction) => total.and_then(|total| {
            let text = format!("{}.{}0", signed(total), fraction.replace('_', ""));
            text.parse().ok().map(Scalar::Float)
        }),
    })
}

/// A number with a point. Only one of these may have an exponent, and that needs a sign.
fn fraction(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    let (before, after) = mantissa.split_once('.')?;
    let leads = if before.is_empty() { after } else { before };
    let fits = leads.starts_with(|first: char| first.is_ascii_digit())
        && before.chars().all(is_digit(10))
        && after.chars().all(is_digit(10))
        && exponent.is_none_or(|exponent| {
            exponent
                .strip_prefix(['+', '-'])
                .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
        });
    fits.then(|| digits.replace('_', "").parse().ok())?
}

/// `2020-01-01`. Longer time stamps have blanks or colons, which stand in no name.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), [year, month, day]
        if year.len() == 4 && month.len() == 2 && day.len() == 2)
        && text.bytes().all(|b| b == b'-' || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are PyYAML 6.0's.
    #[test]
    fn scalars_are_those_of_version_1_1() {
        for (text, value) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("on", Scalar::Bool(true)),
            ("No", Scalar::Bool(false)),
            ("0", Scalar::Int(0)),
            ("00", Scalar::Int(0)),
            ("012", Scalar::Int(10)),
            ("-012", Scalar::Int(-10)),
            ("0x1f", Scalar::Int(31)),
            ("0b101", Scalar::Int(5)),
            ("1_000", Scalar::Int(1000)),
            ("-7", Scalar::Int(-7)),
            ("+1", Scalar::Int(1)),
            ("1:30", Scalar::Int(90)),
            ("-1:30", Scalar::Int(-90)),
            ("190:20:30", Scalar::Int(685_230)),
            ("190:20:30.15", Scalar::Float(685_230.15)),
            ("0.5", Scalar::Float(0.5)),
            (".5", Scalar::Float(0.5)),
            ("1.", Scalar::Float(1.0)),
            ("1.0e+3", Scalar::Float(1000.0)),
            (".5e+3", Scalar::Float(500.0)),
            ("1.5_0", Scalar::Float(1.5)),
            ("-.inf", Scalar::Float(f64::NEG_INFINITY)),
            ("2020-01-01", Scalar::Other("2020-01-01")),
            (
                "99999999999999999999",
                Scalar::Other("99999999999999999999"),
            ),
        ] {
            assert_eq!(resolve(text), value, "{text:?}");
        }
        assert!(matches!(resolve(".nan"), Scalar::Float(number) if number.is_nan()));
        for text in [
            "1e3", "1.5e3", "089", "08", "1.2.3", "10.0.0.1", "n", "y", "n1", "1n", "-", ".", "0x",
            "0b2", "0o7", "a:1", "1:99", "0:1", "-.5", "._5", "_1", "-.nan", "2020-1-1", "n[1-2]",
            "<<",
        ] {
            assert_eq!(resolve(text), Scalar::Text(text));
        }
    }
}
