//! Text to expression. No group is looked up here.

use std::fmt;

use super::expr::{Expr, Operand, Product, Term};
use super::index::{Index, MAX_DIGITS};
use super::pattern::{self, MAX_DIMENSIONS};
use super::range::{RangeError, RangeErrorKind, RangeSet};
use super::span::Keep;
use super::steps;

/// Why a text is no node set. Displays as ClusterShell words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// The text it is about, if ClusterShell names it.
    pub part: Option<String>,
    /// Where it is: characters from the start of the text, the first is 1.
    pub column: usize,
}

/// What can be wrong with a node set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// Nothing before or behind an operator.
    MissingOperand(char),
    /// `[` without `]`.
    MissingBracket,
    /// `]` without `[`.
    ClosingBracket,
    /// `[` right behind a range set.
    ReopeningBracket,
    /// Digits behind a range with steps.
    TrailingDigits,
    /// More indexes than a name may have.
    TooManyIndexes,
    /// What stands between brackets is no range set.
    Range(RangeError),
}

impl ParseError {
    /// Whether it is a range with too many indexes, which ClusterShell does not count as a parse error.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(&self.kind, ParseErrorKind::Range(error) if error.kind == RangeErrorKind::TooLarge)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ParseErrorKind::Range(error) if self.is_too_large() => return write!(f, "{error}"),
            ParseErrorKind::Range(error) => return write!(f, "bad range: \"{error}\""),
            ParseErrorKind::MissingOperand(operator) => {
                write!(f, "missing nodeset operand with '{operator}' operator")?;
            }
            ParseErrorKind::MissingBracket => f.write_str("missing bracket")?,
            ParseErrorKind::ClosingBracket => f.write_str("illegal closing bracket")?,
            ParseErrorKind::ReopeningBracket => f.write_str("illegal reopening bracket")?,
            ParseErrorKind::TrailingDigits => {
                f.write_str("illegal trailing digits after range with steps")?;
            }
            ParseErrorKind::TooManyIndexes => f.write_str("too many indexes in one name")?,
        }
        match &self.part {
            Some(part) => write!(f, ": \"{part}\""),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}

/// Reads an expression: `n[1-5]!n3,@group&m*`. Blank text is the empty set.
///
/// `lb1..2` is read as `lb[1-2]`, so that a pattern needs no quotes in a shell.
///
/// # Errors
/// When the text is none.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let mut reader = Reader::new(text);
    let mut terms = Vec::new();
    let mut keep = Keep::UNION;
    while reader.at < reader.text.len() {
        let operand = reader.operand_end()?;
        let end = operand.end;
        let behind = reader.text[end..].chars().next();
        let written = &reader.text[reader.at..end];
        if let Some(operator) = behind {
            let rest = &reader.text[end + 1..];
            let part = if written.trim().is_empty() {
                Some(rest)
            } else if rest.is_empty() {
                Some(if operand.has_brackets { "" } else { written })
            } else {
                None
            };
            if let Some(part) = part {
                return Err(reader.error(ParseErrorKind::MissingOperand(operator), end, part));
            }
        }
        terms.push(Term {
            keep,
            operand: reader.operand(end, operand.has_brackets)?,
        });
        let Some(operator) = behind else { break };
        keep = match operator {
            '!' => Keep::DIFFERENCE,
            '&' => Keep::INTERSECTION,
            '^' => Keep::SYMMETRIC_DIFFERENCE,
            _ => Keep::UNION,
        };
        reader.at = end + 1;
    }
    Ok(Expr { terms })
}

/// Where an operand ends.
struct OperandEnd {
    end: usize,
    has_brackets: bool,
}

/// Where a bracket is that was looked for. Questions come from left to right, so that all of them together read the
/// text once: a list of names without brackets asks where the next one is before each name.
#[derive(Default)]
struct Found(Option<usize>);

impl Found {
    /// The first such bracket from `from` on, else the end of the text.
    fn next(&mut self, text: &str, bracket: char, from: usize) -> usize {
        match self.0 {
            Some(at) if at >= from => at,
            Some(_) | None => {
                let at = text[from..]
                    .find(bracket)
                    .map_or(text.len(), |at| from + at);
                steps::count(at - from);
                self.0 = Some(at);
                at
            }
        }
    }
}

/// A text and how far it has been read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    open: Found,
    close: Found,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let text = text.trim_end();
        Self {
            text,
            at: text.len() - text.trim_start().len(),
            open: Found::default(),
            close: Found::default(),
        }
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn error(&self, kind: ParseErrorKind, at: usize, part: &str) -> ParseError {
        ParseError {
            kind,
            part: (!part.is_empty()).then(|| part.to_owned()),
            column: self.text[..at].chars().count() + 1,
        }
    }

    fn range_error(&self, error: RangeError, at: usize) -> ParseError {
        let at = at + error.offset;
        self.error(ParseErrorKind::Range(error), at, "")
    }

    /// Finds the end of the operand that begins here: an operator outside of brackets, or the end.
    fn operand_end(&mut self) -> Result<OperandEnd, ParseError> {
        let text = self.text;
        let mut from = self.at;
        loop {
            let operator = text[from..].find([',', '!', '&', '^']);
            let operator = operator.map_or(text.len(), |at| from + at);
            steps::count(operator - from);
            let open = self.open.next(text, '[', from);
            let close = self.close.next(text, ']', from);
            if open >= operator {
                if close < operator {
                    let part = &text[self.at..operator];
                    return Err(self.error(ParseErrorKind::ClosingBracket, close, part));
                }
                return Ok(OperandEnd {
                    end: operator,
                    has_brackets: from > self.at,
                });
            }
            if self.close.next(text, ']', open) == text.len() {
                let part = &text[self.at..];
                return Err(self.error(ParseErrorKind::MissingBracket, open, part));
            }
            if close < open {
                let part = &text[self.at..];
                return Err(self.error(ParseErrorKind::ClosingBracket, from, part));
            }
            from = close + 1;
            let behind = &text[from..];
            let next_open = self.open.next(text, '[', from);
            if next_open < text.len() && digits(behind) == next_open - from {
                let part = &text[next_open..];
                return Err(self.error(ParseErrorKind::ReopeningBracket, next_open, part));
            }
            let stray = self.close.next(text, ']', from);
            if stray < next_open {
                return Err(self.error(ParseErrorKind::ClosingBracket, stray, behind));
            }
        }
    }

    /// Reads the operand up to `end`.
    fn operand(&mut self, end: usize, has_brackets: bool) -> Result<Operand, ParseError> {
        self.skip_blanks();
        let written = self.text[self.at..end].trim_end();
        if !has_brackets && is_plain(written) {
            return Ok(Operand::Name(written.into()));
        }
        let owned = |source: &str| (!source.is_empty()).then(|| source.to_owned());
        let Some(group) = written.strip_prefix('@') else {
            let product = self.product(self.at, written)?;
            return Ok(if written.contains(['*', '?']) {
                Operand::Matching(product)
            } else {
                Operand::Nodes(product)
            });
        };
        let (source, name) = match group.split_once(':') {
            Some((source, name)) => (Some(source), name),
            None => (None, group),
        };
        Ok(match (source, name) {
            // ClusterShell takes `@x:@y` for one, too, and what stands behind two characters for its source.
            (_, name) if name.starts_with('@') => Operand::GroupNames {
                source: written
                    .char_indices()
                    .nth(2)
                    .map(|(at, _)| written[at..].to_owned()),
            },
            (source, "*") => Operand::All {
                source: source.and_then(owned),
            },
            (source, name) => Operand::Group {
                source: source.and_then(owned),
                names: self.product(self.at + written.len() - name.len(), name)?,
            },
        })
    }

    /// Reads names with brackets, which are known to match and not to touch; `at` is where they stand.
    fn product(&self, at: usize, written: &'a str) -> Result<Product, ParseError> {
        let mut product = Product::default();
        let mut rest = written;
        while !rest.is_empty() {
            let here = at + written.len() - rest.len();
            let text = rest
                .find(|char: char| char.is_ascii_digit() || char == '[')
                .unwrap_or(rest.len());
            if text > 0 {
                pattern::push_text(&mut product.pattern, &rest[..text]);
                rest = &rest[text..];
                continue;
            }
            let read = &written[..written.len() - rest.len()];
            if let Some(length) = pattern::address_length(read, rest) {
                pattern::push_text(&mut product.pattern, &rest[..length]);
                rest = &rest[length..];
                continue;
            }
            let (before, behind) = rest.split_at(digits(rest));
            if let Some(inside) = behind.strip_prefix('[') {
                let close = inside.find(']').unwrap_or(inside.len());
                let (list, behind) = (
                    &inside[..close],
                    inside.get(close + 1..).unwrap_or_default(),
                );
                let (after, behind) = behind.split_at(digits(behind));
                let list_at = here + before.len() + 1;
                if !after.is_empty() && list.contains('/') {
                    return Err(self.error(
                        ParseErrorKind::TrailingDigits,
                        list_at + close + 1,
                        after,
                    ));
                }
                let set =
                    glued(before, list, after).map_err(|error| self.range_error(error, list_at))?;
                self.push(&mut product, set, here)?;
                rest = behind;
            } else if let Some(last) = dotted_range(behind) {
                let range = format!("{before}-{last}");
                let set =
                    RangeSet::parse_list(&range).map_err(|error| self.range_error(error, here))?;
                self.push(&mut product, set, here)?;
                rest = &behind[2 + last.len()..];
            } else if before.len() <= MAX_DIGITS && product.sets.len() < MAX_DIMENSIONS {
                product.pattern.push_str("%s");
                product
                    .sets
                    .push(RangeSet::single(Index::of_digits(before.as_bytes())));
                rest = behind;
            } else {
                product.pattern.push_str(before);
                rest = behind;
            }
        }
        Ok(product)
    }

    fn push(&self, product: &mut Product, set: RangeSet, at: usize) -> Result<(), ParseError> {
        if product.sets.len() == MAX_DIMENSIONS {
            return Err(self.error(ParseErrorKind::TooManyIndexes, at, ""));
        }
        product.pattern.push_str("%s");
        product.sets.push(set);
        Ok(())
    }
}

/// The indexes of a list in brackets with digits on its sides, which belong to each of them.
///
/// Digits behind the brackets are put to each number as text, as ClusterShell does: `n[1,]5` is `n[15,5]`, and a number
/// with a blank behind it is none any more.
fn glued(before: &str, list: &str, after: &str) -> Result<RangeSet, RangeError> {
    let wrong = |kind, part| RangeError {
        kind,
        part,
        offset: 0,
    };
    let glue = |list: &str, after: &str| {
        let glued = RangeSet::parse_list(list)?.glue(before, after);
        glued.map_err(|kind| wrong(kind, format!("{before}{list}{after}")))
    };
    let ends_blank = |number: &str| number.ends_with(char::is_whitespace);
    let (blank, numbers): (Vec<&str>, Vec<&str>) =
        list.split(',').partition(|item| item.trim().is_empty());
    if after.is_empty() || blank.is_empty() && !list.contains(char::is_whitespace) {
        return glue(list, after);
    }
    let mut items = numbers.iter().map(|item| item.trim_start());
    if let Some(item) = items.find(|item| item.split('-').any(ends_blank)) {
        return Err(wrong(RangeErrorKind::NotANumber, format!("{item}{after}")));
    }
    let mut set = RangeSet::default();
    if !blank.is_empty() {
        set = glue(after, "")?;
    }
    if !numbers.is_empty() {
        set.union(&glue(&numbers.join(","), after)?);
    }
    Ok(set)
}

/// Whether an operand without brackets is the name of a node as it stands.
fn is_plain(written: &str) -> bool {
    let bytes = written.as_bytes();
    bytes.first().is_some_and(|first| *first != b'@')
        && !bytes.iter().any(|byte| matches!(byte, b'*' | b'?'))
        && !written.contains("..")
}

/// How many digits the text begins with.
fn digits(text: &str) -> usize {
    text.bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len())
}

/// The upper bound of `..12`, which stands behind the lower. Three dots, a third number (`1..2..3`) and
/// digits before a bracket are no range.
fn dotted_range(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("..")?;
    let (last, behind) = rest.split_at(digits(rest));
    (!last.is_empty() && !behind.starts_with("..") && !behind.starts_with('[')).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_worded_as_in_clustershell_and_know_their_column() {
        for (text, message, column) in [
            (
                "n[1-010]",
                "bad range: \"padding length mismatch : \"1-010\"\"",
                3,
            ),
            (
                "n[1,5-1]",
                "bad range: \"invalid values in range : \"5-1\"\"",
                5,
            ),
            ("n[]", "bad range: \"empty range\"", 3),
            ("n[ ]", "bad range: \"empty range\"", 4),
            (
                "n[1-5/2]5",
                "illegal trailing digits after range with steps: \"5\"",
                9,
            ),
            ("n[1", "missing bracket: \"n[1\"", 2),
            ("n]1[", "missing bracket: \"n]1[\"", 4),
            ("n1]", "illegal closing bracket: \"n1]\"", 3),
            ("n[1]]", "illegal closing bracket: \"]\"", 5),
            ("n[[1]]", "illegal closing bracket: \"]\"", 6),
            ("n[1-2]x,y]", "illegal closing bracket: \"x,y]\"", 10),
            ("n[1-2]x,y[", "missing bracket: \"y[\"", 10),
            ("n[1-2][3-4]", "illegal reopening bracket: \"[3-4]\"", 7),
            ("n[1]5[2]", "illegal reopening bracket: \"[2]\"", 6),
            (
                "n1,,n2",
                "missing nodeset operand with ',' operator: \"n2\"",
                4,
            ),
            ("n[1-3],", "missing nodeset operand with ',' operator", 7),
            (",", "missing nodeset operand with ',' operator", 1),
            ("a,", "missing nodeset operand with ',' operator: \"a\"", 2),
            (
                "a , ",
                "missing nodeset operand with ',' operator: \"a \"",
                3,
            ),
            ("a,,", "missing nodeset operand with ',' operator", 3),
            (
                ", a",
                "missing nodeset operand with ',' operator: \" a\"",
                1,
            ),
            (
                "a&,b",
                "missing nodeset operand with ',' operator: \"b\"",
                3,
            ),
            (
                "!n1",
                "missing nodeset operand with '!' operator: \"n1\"",
                1,
            ),
            (
                "n[::1]",
                "bad range: \"cannot convert string to integer : \"::1\"\"",
                3,
            ),
            ("n[1-2000000000]", "range too large", 3),
            (
                "lb3..1",
                "bad range: \"invalid values in range : \"3-1\"\"",
                3,
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(
                (error.to_string().as_str(), error.column),
                (message, column),
                "{text}"
            );
        }
    }

    #[test]
    fn a_list_is_read_once() {
        let steps = |count: usize, operand: &str| {
            let text = vec![operand; count].join(",");
            steps::of(|| parse(&text).map(|expr| assert_eq!(expr.terms.len(), count)))
        };
        for operand in ["node1", "n[1-2]x[3]", "@group", "n*"] {
            let (few, many) = (steps(1000, operand), steps(10_000, operand));
            assert!(few > 1000 && many < 12 * few, "{operand}: {few} {many}");
        }
        let mixed = |count: usize| {
            let text = format!("n[1]{}", ",n1".repeat(count));
            steps::of(|| parse(&text))
        };
        assert!(mixed(10_000) < 12 * mixed(1000));
    }

    #[test]
    fn digits_behind_brackets_are_put_to_each_text_between_commas() {
        for (text, names) in [
            ("n[1,]5", "n[5,15]"),
            ("n3[ ,1]5", "n[35,315]"),
            ("n[]05", "n05"),
            ("n[ 1, 2-3]5", "n[15,25,35]"),
            ("n[1- 3]5", "n[15,25,35]"),
        ] {
            let set = super::super::eval(&parse(text).unwrap(), &super::super::NoGroups).unwrap();
            assert_eq!(set.to_string(), names, "{text}");
        }
        for text in [
            "n[1 ]5",
            "n[1 - 3]5",
            "n[1, 2 ,3]5",
            "n[1-3 ]5",
            "n[]",
            "n5[1,]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn absurd_names_are_text() {
        let digits = "1".repeat(50);
        let many = "1.".repeat(10_000);
        for name in [digits.as_str(), many.as_str()] {
            let set = super::super::eval(&parse(name).unwrap(), &super::super::NoGroups).unwrap();
            assert_eq!(set.to_string(), name);
        }
        assert!(parse(&format!("n[{digits}]")).is_err());
        assert!(parse(&"a[1-2]".repeat(1000)).is_err());
    }
}
