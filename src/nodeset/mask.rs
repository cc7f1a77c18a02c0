//! Names with wildcards.

use super::expr::Product;
use super::pattern::Pattern;
use super::range::RangeSet;

/// A name with wildcards, as a shell matches it: `*` any text, `?` any character, ranges any of their indexes.
pub(super) struct Mask<'a> {
    tokens: Vec<Token<'a>>,
}

enum Token<'a> {
    Char(char),
    AnyChar,
    AnyText,
    Indexes(&'a RangeSet),
}

impl<'a> Mask<'a> {
    pub(super) fn of(product: &'a Product) -> Self {
        let mut tokens = Vec::new();
        let pattern = Pattern::new(&product.pattern);
        for (place, text) in pattern.texts().iter().enumerate() {
            tokens.extend(text.chars().map(|char| match char {
                '*' => Token::AnyText,
                '?' => Token::AnyChar,
                char => Token::Char(char),
            }));
            tokens.extend(product.sets.get(place).map(Token::Indexes));
        }
        Self { tokens }
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        // Where in the name the tokens so far may end.
        let mut ends = vec![0];
        for token in &self.tokens {
            let mut next = Vec::new();
            for &end in &ends {
                let rest = &name[end..];
                let first = rest.chars().next();
                match token {
                    Token::Char(char) if first == Some(*char) => next.push(end + char.len_utf8()),
                    Token::AnyChar => next.extend(first.map(|char| end + char.len_utf8())),
                    Token::AnyText => {
                        next.extend(rest.char_indices().map(|(place, _)| end + place));
                        next.push(name.len());
                    }
                    Token::Indexes(set) => {
                        let sign = usize::from(rest.starts_with('-'));
                        let digits = rest[sign..].bytes().take_while(u8::is_ascii_digit).count();
                        let ends = (1..=digits).map(|digits| sign + digits);
                        next.extend(
                            ends.filter(|&length| set.contains(&rest[..length]))
                                .map(|length| end + length),
                        );
                    }
                    Token::Char(_) => {}
                }
            }
            next.sort_unstable();
            next.dedup();
            ends = next;
        }
        ends.contains(&name.len())
    }
}
