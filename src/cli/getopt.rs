//! Command lines as the drop-in front-ends read them: the original tools' option parser, which stops at the
//! first word that is no option, takes unambiguous beginnings of long names, and has errors of its own.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// An option a front-end knows.
#[derive(Debug, Clone, Copy)]
pub struct Opt<T> {
    /// What the front-end calls it.
    pub id: T,
    /// All its names, `-f` and `--fanout`.
    pub names: &'static [&'static str],
    /// Whether a value follows.
    pub value: bool,
}

impl<T> Opt<T> {
    /// An option without a value.
    pub const fn flag(id: T, names: &'static [&'static str]) -> Self {
        Self {
            id,
            names,
            value: false,
        }
    }

    /// An option with a value.
    pub const fn value(id: T, names: &'static [&'static str]) -> Self {
        Self {
            id,
            names,
            value: true,
        }
    }
}

/// An option that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// Which.
    pub id: T,
    /// The name it was given by, in full.
    pub name: &'static str,
    /// Its value; empty if it takes none.
    pub value: OsString,
}

impl<T> Found<T> {
    /// The value as text; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        self.value.to_string_lossy().into_owned()
    }

    /// The value as the whole number it must be, written as in C: decimal, `0x`, `0b`, or octal after a `0`.
    ///
    /// # Errors
    /// The usage error's text.
    pub fn integer(&self) -> Result<i64, String> {
        let text = self.text();
        integer(&text)
            .ok_or_else(|| format!("option {}: invalid integer value: '{text}'", self.name))
    }

    /// The value as the number it must be, as Python writes it.
    ///
    /// # Errors
    /// The usage error's text.
    pub fn number(&self) -> Result<f64, String> {
        let text = self.text();
        let number = text.trim().parse();
        number.map_err(|_| {
            format!(
                "option {}: invalid floating-point value: '{text}'",
                self.name
            )
        })
    }

    /// The value as one of these words.
    ///
    /// # Errors
    /// The usage error's text.
    pub fn choice<'a>(&self, words: &[&'a str]) -> Result<&'a str, String> {
        let text = self.text();
        words
            .iter()
            .find(|word| **word == text)
            .copied()
            .ok_or_else(|| {
                let all: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
                let all = all.join(", ");
                format!(
                    "option {}: invalid choice: '{text}' (choose from {all})",
                    self.name
                )
            })
    }
}

fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

/// Takes options from a command line, one at a time.
#[derive(Debug)]
pub struct Parser<'a, T> {
    options: &'a [Opt<T>],
    words: std::slice::Iter<'a, OsString>,
    /// What is left of a word of one-letter options.
    cluster: &'a [u8],
    /// Whether options may stand behind other words.
    interspersed: bool,
    rest: Vec<OsString>,
}

impl<'a, T: Copy> Parser<'a, T> {
    /// A parser for the words behind the program's name. It stops at the first word that is no option.
    #[must_use]
    pub fn new(options: &'a [Opt<T>], words: &'a [OsString]) -> Self {
        Self {
            options,
            words: words.iter(),
            cluster: &[],
            interspersed: false,
            rest: Vec::new(),
        }
    }

    /// From here on options may stand behind other words, or not.
    pub fn intersperse(&mut self, interspersed: bool) {
        self.interspersed = interspersed;
    }

    /// The next option, `None` when there are no more.
    ///
    /// # Errors
    /// The usage error's text, such as `no such option: --bad`.
    pub fn next_option(&mut self) -> Result<Option<Found<T>>, String> {
        loop {
            if !self.cluster.is_empty() {
                return self.short().map(Some);
            }
            let Some(word) = self.words.next() else {
                return Ok(None);
            };
            match word.as_bytes() {
                b"--" => {
                    self.rest.extend(self.words.by_ref().cloned());
                    return Ok(None);
                }
                [b'-', b'-', name @ ..] => return self.long(name).map(Some),
                [b'-', letters @ ..] if !letters.is_empty() => self.cluster = letters,
                _ => {
                    self.rest.push(word.clone());
                    if !self.interspersed {
                        self.rest.extend(self.words.by_ref().cloned());
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The words that are no options.
    #[must_use]
    pub fn rest(self) -> Vec<OsString> {
        self.rest
    }

    fn short(&mut self) -> Result<Found<T>, String> {
        let text = String::from_utf8_lossy(self.cluster);
        let letter = text.chars().next().unwrap_or_default();
        let name = format!("-{letter}");
        let found = self
            .options
            .iter()
            .find_map(|option| Some((option, option.names.iter().find(|known| **known == name)?)));
        let Some((option, name)) = found else {
            return Err(format!("no such option: {name}"));
        };
        let behind = self.cluster.get(1..).unwrap_or_default();
        let attached = (option.value && !behind.is_empty()).then_some(behind);
        self.cluster = if option.value { &[] } else { behind };
        self.found(option, name, attached)
    }

    fn long(&mut self, word: &[u8]) -> Result<Found<T>, String> {
        let (name, attached) = match word.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&word[..equals], Some(&word[equals + 1..])),
            None => (word, None),
        };
        let name = format!("--{}", String::from_utf8_lossy(name));
        let all = || {
            let pairs = |option: &'a Opt<T>| option.names.iter().map(move |name| (option, *name));
            self.options.iter().flat_map(pairs)
        };
        let mut fitting: Vec<_> = all().filter(|(_, known)| *known == name).collect();
        if fitting.is_empty() {
            fitting = all()
                .filter(|(_, known)| known.starts_with(&name))
                .collect();
        }
        match fitting.as_mut_slice() {
            [] => Err(format!("no such option: {name}")),
            [(option, known)] if attached.is_some() && !option.value => {
                Err(format!("{known} option does not take a value"))
            }
            [(option, known)] => self.found(option, known, attached),
            several => {
                several.sort_unstable_by_key(|(_, known)| *known);
                let names: Vec<&str> = several.iter().map(|(_, known)| *known).collect();
                Err(format!("ambiguous option: {name} ({}?)", names.join(", ")))
            }
        }
    }

    fn found(
        &mut self,
        option: &Opt<T>,
        name: &'static str,
        attached: Option<&[u8]>,
    ) -> Result<Found<T>, String> {
        let value = match attached {
            _ if !option.value => OsString::new(),
            Some(bytes) => OsString::from_vec(bytes.to_vec()),
            None => match self.words.next() {
                Some(word) => word.clone(),
                None => return Err(format!("{name} option requires 1 argument")),
            },
        };
        Ok(Found {
            id: option.id,
            name,
            value,
        })
    }
}

/// A word as text; bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn text(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Id {
        Fold,
        Count,
        Slice,
        Split,
    }

    const OPTIONS: &[Opt<Id>] = &[
        Opt::flag(Id::Fold, &["-f", "--fold"]),
        Opt::flag(Id::Count, &["-c", "--count"]),
        Opt::value(Id::Slice, &["-I", "--slice"]),
        Opt::value(Id::Split, &["--split"]),
    ];

    /// The options with their values, and the rest; or the error.
    fn parse(line: &str, interspersed: bool) -> Result<(String, String), String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let mut parser = Parser::new(OPTIONS, &words);
        parser.intersperse(interspersed);
        let mut found = Vec::new();
        while let Some(option) = parser.next_option()? {
            found.push(format!("{:?}={}", option.id, option.text()));
        }
        let rest: Vec<String> = parser.rest().iter().map(|word| text(word)).collect();
        Ok((found.join(" "), rest.join(" ")))
    }

    #[test]
    fn options_end_at_the_first_other_word() {
        for (line, options, rest) in [
            ("-fc x -c", "Fold= Count=", "x -c"),
            (
                "-fI1 -I 2 --slice=3 --sl 4 n1",
                "Fold= Slice=1 Slice=2 Slice=3 Slice=4",
                "n1",
            ),
            ("-I -- -f -- -c", "Slice=-- Fold=", "-c"),
            ("--slice= - -f", "Slice=", "- -f"),
        ] {
            assert_eq!(
                parse(line, false),
                Ok((options.into(), rest.into())),
                "{line}"
            );
        }
        assert_eq!(
            parse("a -f b -- -c", true),
            Ok(("Fold=".into(), "a b -c".into()))
        );
    }

    #[test]
    fn mistakes_are_worded_as_in_the_original() {
        for (line, error) in [
            ("--s", "ambiguous option: --s (--slice, --split?)"),
            ("--bad=1", "no such option: --bad"),
            ("-fZ", "no such option: -Z"),
            ("-5", "no such option: -5"),
            ("-fé", "no such option: -é"),
            ("--fold=1", "--fold option does not take a value"),
            ("-fI", "-I option requires 1 argument"),
            ("--spl", "--split option requires 1 argument"),
        ] {
            assert_eq!(parse(line, false), Err(error.into()), "{line}");
        }
    }

    #[test]
    fn numbers_are_written_as_in_c() {
        for (text, number) in [
            (" 2", Some(2)),
            ("-0x1F", Some(-31)),
            ("010", Some(8)),
            ("0", Some(0)),
        ] {
            assert_eq!(integer(text), number);
        }
        for text in ["", "x", "1.5", "--1", "09", "+-1"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
