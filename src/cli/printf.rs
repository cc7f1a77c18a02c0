//! Python's `%` formatting of one value, as `nodeset -O` and its kin take it.

/// What is formatted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// A number.
    Number(u128),
}

/// What is wrong with a format for a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FormatError {
    /// The format makes no sense (Python's `ValueError`).
    Format(String),
    /// It does not fit the value (Python's `TypeError`).
    Fit(String),
}

/// A format, cut into pieces.
#[derive(Debug)]
pub(super) struct Format {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Field(Field),
    /// A piece that can only fail, and only when it is reached.
    Wrong(FormatError),
}

#[derive(Debug, Default)]
struct Field {
    left: bool,
    zeros: bool,
    plus: bool,
    blank: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    kind: char,
}

/// Fields wider than this are cut: a line of output, not of memory.
const MAX_WIDTH: usize = 1 << 16;

impl Format {
    /// Reads a format.
    pub(super) fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(percent) = rest.find('%') {
            pieces.push(Piece::Text(rest[..percent].to_owned()));
            let at = text.len() - rest.len() + percent;
            let (piece, behind) = field(&rest[percent + 1..], text, at + 1);
            pieces.push(piece);
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Self { pieces }
    }

    /// Appends the value as formatted.
    ///
    /// # Errors
    /// When the format does not consume exactly one value of this kind.
    pub(super) fn write(&self, value: Value<'_>, out: &mut String) -> Result<(), FormatError> {
        let mut used = false;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Wrong(error) => return Err(error.clone()),
                Piece::Field(_) if used => {
                    return Err(FormatError::Fit(
                        "not enough arguments for format string".into(),
                    ));
                }
                Piece::Field(field) => {
                    used = true;
                    field.write(value, out)?;
                }
            }
        }
        if used {
            Ok(())
        } else {
            let message = "not all arguments converted during string formatting";
            Err(FormatError::Fit(message.into()))
        }
    }
}

/// Reads what stands behind a percent sign; `at` is its place in the whole.
fn field<'a>(rest: &'a str, whole: &str, at: usize) -> (Piece, &'a str) {
    let wrong = |error, rest| (Piece::Wrong(error), rest);
    if rest.starts_with('(') {
        return wrong(FormatError::Fit("format requires a mapping".into()), "");
    }
    let mut field = Field::default();
    let mut digits = String::new();
    let mut precise = false;
    for (place, char) in rest.char_indices() {
        match char {
            '%' if place == 0 => return (Piece::Text("%".into()), &rest[1..]),
            '*' => {
                let message = "not enough arguments for format string";
                return wrong(FormatError::Fit(message.into()), "");
            }
            '-' | '0' | '+' | ' ' | '#' if digits.is_empty() && !precise => {
                field.left |= char == '-';
                field.zeros |= char == '0';
                field.plus |= char == '+';
                field.blank |= char == ' ';
                field.alternate |= char == '#';
            }
            '0'..='9' => digits.push(char),
            '.' if !precise => {
                field.width = digits.parse().unwrap_or(0).min(MAX_WIDTH);
                digits.clear();
                precise = true;
            }
            // Lengths as in C mean nothing.
            'h' | 'l' | 'L' => {}
            kind => {
                let number = digits.parse().unwrap_or(0).min(MAX_WIDTH);
                if precise {
                    field.precision = Some(number);
                } else {
                    field.width = number;
                }
                field.kind = kind;
                let behind = &rest[place + kind.len_utf8()..];
                if !"sradiuxXoceEfFgG".contains(kind) {
                    let at = whole[..at + place].chars().count();
                    let code = u32::from(kind);
                    return wrong(
                        FormatError::Format(format!(
                            "unsupported format character '{kind}' ({code:#x}) at index {at}"
                        )),
                        behind,
                    );
                }
                return (Piece::Field(field), behind);
            }
        }
    }
    wrong(FormatError::Format("incomplete format".into()), "")
}

impl Field {
    fn write(&self, value: Value<'_>, out: &mut String) -> Result<(), FormatError> {
        let unfit = |message: String| Err(FormatError::Fit(message));
        match (self.kind, value) {
            ('s' | 'r' | 'a', value) => {
                let text = match value {
                    Value::Number(number) => number.to_string(),
                    Value::Text(text) if self.kind == 's' => text.to_owned(),
                    Value::Text(text) => quoted(text),
                };
                let text: String = text
                    .chars()
                    .take(self.precision.unwrap_or(usize::MAX))
                    .collect();
                self.pad("", &text, false, out);
            }
            ('c', Value::Text(text)) if text.chars().count() == 1 => self.pad("", text, false, out),
            ('c', Value::Number(number)) => {
                let char = u32::try_from(number).ok().and_then(char::from_u32);
                let Some(char) = char else {
                    return Err(FormatError::Format("%c arg not in range(0x110000)".into()));
                };
                self.pad("", &char.to_string(), false, out);
            }
            ('c', Value::Text(_)) => return unfit("%c requires int or char".into()),
            ('d' | 'i' | 'u', Value::Text(_)) => {
                return unfit(format!(
                    "%{} format: a real number is required, not str",
                    self.kind
                ));
            }
            ('x' | 'X' | 'o', Value::Text(_)) => {
                return unfit(format!(
                    "%{} format: an integer is required, not str",
                    self.kind
                ));
            }
            (_, Value::Text(_)) => return unfit("must be real number, not str".into()),
            (kind, Value::Number(number)) => {
                let (prefix, digits) = match kind {
                    'x' => ("0x", format!("{number:x}")),
                    'X' => ("0X", format!("{number:X}")),
                    'o' => ("0o", format!("{number:o}")),
                    'd' | 'i' | 'u' => ("", number.to_string()),
                    _ => return self.write_real(number, out),
                };
                let prefix = if self.alternate { prefix } else { "" };
                let sign = format!("{}{prefix}", self.sign());
                let least = self.precision.unwrap_or(0);
                self.pad(&sign, &format!("{digits:0>least$}"), true, out);
            }
        }
        Ok(())
    }

    /// `%e`, `%f` and `%g` of a whole number.
    fn write_real(&self, number: u128, out: &mut String) -> Result<(), FormatError> {
        let precision = self.precision.unwrap_or(6);
        let exponential = |precision: usize| {
            let text = format!("{:.precision$e}", number as f64);
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{mantissa}e+{exponent:0>2}")
        };
        let text = match self.kind {
            'f' | 'F' => format!("{:.precision$}", number as f64),
            'e' | 'E' => exponential(precision),
            _ => {
                let precision = precision.max(1);
                let digits = number.to_string();
                if digits.len() <= precision {
                    digits
                } else {
                    let text = exponential(precision - 1);
                    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, ""));
                    let mantissa = if mantissa.contains('.') {
                        mantissa.trim_end_matches('0').trim_end_matches('.')
                    } else {
                        mantissa
                    };
                    format!("{mantissa}e{exponent}")
                }
            }
        };
        let text = if self.kind.is_ascii_uppercase() {
            text.to_uppercase()
        } else {
            text
        };
        self.pad(self.sign(), &text, true, out);
        Ok(())
    }

    fn sign(&self) -> &'static str {
        match (self.plus, self.blank) {
            (true, _) => "+",
            (false, true) => " ",
            (false, false) => "",
        }
    }

    fn pad(&self, sign: &str, text: &str, number: bool, out: &mut String) {
        let missing = self
            .width
            .saturating_sub(sign.chars().count() + text.chars().count());
        let fill = |char: &str| char.repeat(missing);
        if self.left {
            out.extend([sign, text, &fill(" ")]);
        } else if self.zeros && number {
            out.extend([sign, &fill("0"), text]);
        } else {
            out.extend([fill(" ").as_str(), sign, text]);
        }
    }
}

/// Text as Python writes it in a program.
fn quoted(text: &str) -> String {
    let mark = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(mark);
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if char == mark => out.extend(['\\', char]),
            char if char.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(char))),
            char => out.push(char),
        }
    }
    out.push(mark);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(format: &str, value: Value<'_>) -> Result<String, FormatError> {
        let mut out = String::new();
        Format::new(format).write(value, &mut out).map(|()| out)
    }

    #[test]
    fn values_are_formatted_as_python_does() {
        let n1 = Value::Text("n1");
        for (text, value, expected) in [
            ("x%sy", n1, "xn1y"),
            ("%%s%s", n1, "%sn1"),
            ("%5s|", n1, "   n1|"),
            ("%-5s|", n1, "n1   |"),
            ("%.1s|", n1, "n|"),
            ("%r", n1, "'n1'"),
            ("%r", Value::Text("a'b"), "\"a'b\""),
            ("%c", Value::Text("a"), "a"),
            ("%05d", Value::Number(1), "00001"),
            ("%+d", Value::Number(1), "+1"),
            ("% d", Value::Number(1), " 1"),
            ("%.3d", Value::Number(1), "001"),
            ("%#x", Value::Number(20), "0x14"),
            ("%5.1f", Value::Number(20), " 20.0"),
            ("%e", Value::Number(20), "2.000000e+01"),
            ("%g", Value::Number(20), "20"),
            ("%g", Value::Number(1_200_000_000), "1.2e+09"),
            ("%c", Value::Number(65), "A"),
        ] {
            assert_eq!(format(text, value).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes_are_worded_as_in_python() {
        let fit = |text: &str| FormatError::Fit(text.into());
        let wrong = |text: &str| FormatError::Format(text.into());
        for (text, error) in [
            (
                "x",
                fit("not all arguments converted during string formatting"),
            ),
            ("%s %s", fit("not enough arguments for format string")),
            ("%*s", fit("not enough arguments for format string")),
            ("%(a)s", fit("format requires a mapping")),
            ("%d", fit("%d format: a real number is required, not str")),
            ("%x", fit("%x format: an integer is required, not str")),
            ("%f", fit("must be real number, not str")),
            ("%c", fit("%c requires int or char")),
            ("%", wrong("incomplete format")),
            ("%s%", wrong("incomplete format")),
            (
                "%z",
                wrong("unsupported format character 'z' (0x7a) at index 1"),
            ),
            (
                "%5%%s",
                wrong("unsupported format character '%' (0x25) at index 2"),
            ),
        ] {
            assert_eq!(format(text, Value::Text("n1")), Err(error), "{text}");
        }
    }
}
