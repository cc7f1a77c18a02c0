//! Node set expressions as they are read: what is looked up, and what is done with it.

use std::fmt;

use super::NodeSet;
use super::pattern::Pattern;
use super::range::RangeSet;
use super::span::Keep;

/// A node set expression: operands joined by operators, from left to right.
#[derive(Debug, Clone, Default)]
pub struct Expr {
    pub(super) terms: Vec<Term>,
}

/// An operand and what is done with it.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) keep: Keep,
    pub(super) operand: Operand,
}

#[derive(Debug, Clone)]
pub(super) enum Operand {
    /// A node by its plain name.
    Name(Box<str>),
    /// Nodes by name.
    Nodes(Product),
    /// The nodes of a source that match wildcards.
    Matching(Product),
    /// `@group`, `@source:group`; several groups if the name has ranges.
    Group {
        source: Option<String>,
        names: Product,
    },
    /// `@*`, `@source:*`.
    All { source: Option<String> },
    /// `@@`, `@@source`: the names of groups.
    GroupNames { source: Option<String> },
}

/// Names of one pattern, with the indexes they may have.
#[derive(Debug, Clone, Default)]
pub(super) struct Product {
    /// As in [`Pattern`].
    pub(super) pattern: String,
    pub(super) sets: Vec<RangeSet>,
}

impl Product {
    /// The names.
    pub(super) fn set(&self) -> NodeSet {
        NodeSet::of_product(Pattern::new(&self.pattern), &self.sets)
    }
}

/// As it may be written.
impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = |source: &Option<String>| {
            let source = source.as_deref();
            source.map_or_else(String::new, |source| format!("{source}:"))
        };
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Nodes(product) | Self::Matching(product) => write!(f, "{}", product.set()),
            Self::Group {
                source: from,
                names,
            } => write!(f, "@{}{}", source(from), names.set()),
            Self::All { source: from } => write!(f, "@{}*", source(from)),
            Self::GroupNames { source } => write!(f, "@@{}", source.as_deref().unwrap_or_default()),
        }
    }
}

/// As it may be written.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, term) in self.terms.iter().enumerate() {
            let operator = match term.keep {
                _ if place == 0 => "",
                Keep::DIFFERENCE => "!",
                Keep::INTERSECTION => "&",
                Keep::SYMMETRIC_DIFFERENCE => "^",
                _ => ",",
            };
            write!(f, "{operator}{}", term.operand)?;
        }
        Ok(())
    }
}
