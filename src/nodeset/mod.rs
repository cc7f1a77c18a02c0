//! Node sets: parse, evaluate, fold. Knows of no file and no group source; groups come in through [`Groups`].
//!
//! [`parse`] turns text into an [`Expr`], [`eval`] looks groups up and gives a [`NodeSet`], whose `Display` is
//! the folded text. Equal text means equal sets, and sets stay ranges and products in memory: a million
//! neighbours cost as much as two. What is printed is what ClusterShell 1.10.1 prints.
//!
//! # Text, names and operators
//!
//! ```
//! use hapsh::nodeset::NodeSet;
//!
//! let racks: NodeSet = "rack[1-2]n[1-16],login".parse()?;
//! assert_eq!(racks.len(), 33);
//! assert!(racks.contains("rack2n7"));
//!
//! let down: NodeSet = ["rack1n3", "rack1n4", "rack2n3"].into_iter().collect();
//! assert_eq!(down.to_string(), "rack1n[3-4],rack2n3");
//!
//! let third: NodeSet = "rack[1-9]n3".parse()?;
//! assert_eq!((&down | &third).len(), 10);
//! assert_eq!((&down & &third).to_string(), "rack[1-2]n3");
//! assert_eq!((&down - &third).to_string(), "rack1n4");
//! assert_eq!((&down ^ &third).to_string(), "rack[3-9]n3,rack1n4");
//!
//! let names: Vec<String> = down.iter().collect();
//! assert_eq!(names, ["rack1n3", "rack1n4", "rack2n3"]);
//! for part in racks.split(2) {
//!     println!("{part}: {} nodes", part.len());
//! }
//! # Ok::<(), hapsh::nodeset::EvalError>(())
//! ```
//!
//! # Groups
//!
//! Groups come from whatever answers four questions.
//!
//! ```
//! use hapsh::nodeset::{EvalError, GroupError, Groups, Style, eval, parse, regroup};
//!
//! struct Known;
//!
//! impl Groups for Known {
//!     fn map(&self, _: Option<&str>, group: &str) -> Result<String, GroupError> {
//!         Ok(match group {
//!             "web" => "web[1-40]",
//!             "spare" => "web[31-40]",
//!             _ => "",
//!         }
//!         .into())
//!     }
//!     fn all(&self, _: Option<&str>) -> Result<Option<String>, GroupError> {
//!         Ok(Some("web[1-40],db[1-2]".into()))
//!     }
//!     fn list(&self, _: Option<&str>) -> Result<Vec<String>, GroupError> {
//!         Ok(vec!["web".into(), "spare".into()])
//!     }
//!     fn reverse(&self, _: Option<&str>, _: &str) -> Result<Option<Vec<String>>, GroupError> {
//!         Ok(None) // it has to look at every group for that
//!     }
//!     fn sources(&self) -> Result<Vec<String>, GroupError> {
//!         Ok(vec!["known".into()])
//!     }
//! }
//!
//! let nodes = eval(&parse("@web!@spare,db*")?, &Known)?;
//! assert_eq!(nodes.to_string(), "db[1-2],web[1-30]");
//!
//! let told = regroup(&eval(&parse("web[31-40],db1")?, &Known)?, None, &Known)?;
//! assert_eq!(told.fold(None, &Style::default()), "@spare,db1");
//! # Ok::<(), EvalError>(())
//! ```
//!
//! # The feature `serde`
//!
//! ```
//! # #[cfg(feature = "serde")] {
//! use hapsh::nodeset::NodeSet;
//!
//! let nodes: NodeSet = serde_json::from_str("\"n[1-3],n7\"")?;
//! assert_eq!(serde_json::to_string(&nodes)?, "\"n[1-3,7]\"");
//! # }
//! # Ok::<(), serde_json::Error>(())
//! ```

mod builder;
mod eval;
mod expr;
mod fold;
mod groups;
mod index;
mod iter;
mod layers;
mod level;
mod mask;
mod operators;
mod parse;
mod pattern;
mod product;
mod range;
mod regroup;
mod render;
mod slice;
mod span;
mod steps;
mod text;

use std::collections::BTreeMap;
use std::sync::OnceLock;

pub use builder::Builder;
pub use eval::{
    EvalError, Evaluator, Targets, eval, eval_exclusion, eval_targets, eval_text, eval_words,
    group_names, group_nodes,
};
pub use expr::Expr;
pub use fold::Autostep;
pub use groups::{GroupError, Groups, NoGroups, Upcall};
pub use iter::Names;
pub use parse::{ParseError, ParseErrorKind, parse};
pub use range::{RangeError, RangeErrorKind, RangeSet};
pub use regroup::{Regrouped, groups_of, regroup};
pub use render::{Axes, Style};

use level::Level;
use pattern::Pattern;
use product::Vector;
use span::Keep;

/// A set of node names.
///
/// Made from text (`"n[1-3]".parse()`), from names (`collect()`, or a [`Builder`] for many operations one after the
/// other) or by [`eval`]; shown by `Display`, folded; walked by `for name in &set`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeSet {
    /// By pattern, which is the order of printing. None is empty.
    bodies: BTreeMap<Pattern, Body>,
}

/// What a set has of one pattern.
#[derive(Debug, Clone)]
struct Body {
    /// The indexes; none for a name without any.
    level: Option<Level>,
    /// What more than one dimension folds to, once asked for.
    folded: OnceLock<Vec<Vector>>,
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.level == other.level
    }
}

impl Eq for Body {}

impl Body {
    const fn new(level: Option<Level>) -> Self {
        Self {
            level,
            folded: OnceLock::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.level.as_ref().is_some_and(Level::is_empty)
    }

    fn count(&self) -> u128 {
        self.level.as_ref().map_or(1, Level::count)
    }

    fn width(&self) -> usize {
        self.level.as_ref().map_or(1, Level::width)
    }

    fn dimensions(&self) -> usize {
        let mut dimensions = 0;
        let mut level = self.level.as_ref();
        while let Some(here) = level {
            dimensions += 1;
            level = match here {
                Level::Last(_) => None,
                Level::More(spans) => spans.first().map(|span| span.tail.as_ref()),
            };
        }
        dimensions
    }

    /// One of the products it folds to, by its place in their order.
    fn product(&self, place: usize) -> Option<&[RangeSet]> {
        match &self.level {
            None => (place == 0).then_some(&[]),
            Some(Level::Last(set)) => (place == 0).then_some(std::slice::from_ref(set)),
            Some(level) => {
                let fold = || product::fold(level, self.dimensions());
                self.folded.get_or_init(fold).get(place).map(AsRef::as_ref)
            }
        }
    }

    /// The products it folds to, in order.
    fn products(&self) -> impl Iterator<Item = &[RangeSet]> {
        (0..).map_while(|place| self.product(place))
    }

    fn meets(&self, other: &Self) -> bool {
        match (&self.level, &other.level) {
            (Some(left), Some(right)) => left.meets(right),
            _ => true,
        }
    }

    fn combine(&self, other: &Self, keep: Keep) -> Option<Self> {
        let body = match (&self.level, &other.level) {
            (Some(left), Some(right)) => Self::new(Some(left.combine(right, keep))),
            _ if keep.both => self.clone(),
            _ => return None,
        };
        (!body.is_empty()).then_some(body)
    }
}

/// The nodes whose names are nothing but these indexes.
impl From<RangeSet> for NodeSet {
    fn from(ranges: RangeSet) -> Self {
        Self::of_product(Pattern::new("%s"), &[ranges])
    }
}

impl NodeSet {
    /// The indexes of the nodes whose names are nothing but an index.
    #[must_use]
    pub fn ranges(&self) -> RangeSet {
        match self.bodies.get("%s").and_then(|body| body.level.as_ref()) {
            Some(Level::Last(set)) => set.clone(),
            _ => RangeSet::default(),
        }
    }

    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bodies: BTreeMap::new(),
        }
    }

    /// How many nodes it has, `usize::MAX` if they are more.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.count()).unwrap_or(usize::MAX)
    }

    /// How many nodes it has.
    #[must_use]
    pub fn count(&self) -> u128 {
        let counts = self.bodies.values().map(Body::count);
        counts.fold(0, u128::saturating_add)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// Whether the node of that plain name is in the set.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        let (mut pattern, mut indexes) = (String::new(), Vec::new());
        pattern::cut(name, &mut pattern, &mut indexes);
        let Some(body) = self.bodies.get(pattern.as_str()) else {
            return false;
        };
        body.level.as_ref().is_none_or(|level| level.has(&indexes))
    }

    /// Whether all nodes of the other are in this set.
    #[must_use]
    pub fn is_superset(&self, other: &Self) -> bool {
        let mut missing = other.clone();
        missing.difference(self);
        missing.is_empty()
    }

    /// Whether no node is in both sets. Costs a look-up for each range of the smaller one, and no copy.
    #[must_use]
    pub fn is_disjoint(&self, other: &Self) -> bool {
        let (few, many) = if self.bodies.len() <= other.bodies.len() {
            (self, other)
        } else {
            (other, self)
        };
        !few.bodies.iter().any(|(pattern, body)| {
            many.bodies
                .get(pattern)
                .is_some_and(|theirs| body.meets(theirs))
        })
    }

    /// Adds one node by its plain name. To add many, use a [`Builder`].
    pub fn insert(&mut self, name: &str) {
        if !self.contains(name) {
            self.union(&std::iter::once(name).collect());
        }
    }

    /// How many ranges it is made of, roughly: a measure of the work on it.
    fn width(&self) -> usize {
        let widths = self.bodies.values().map(Body::width);
        widths.sum()
    }

    /// Adds what the other has.
    pub fn union(&mut self, other: &Self) {
        self.combine(other, Keep::UNION);
    }

    /// Takes away what the other has.
    pub fn difference(&mut self, other: &Self) {
        self.combine(other, Keep::DIFFERENCE);
    }

    /// Keeps what the other has too.
    pub fn intersection(&mut self, other: &Self) {
        self.combine(other, Keep::INTERSECTION);
    }

    /// Keeps what exactly one of the two has.
    pub fn symmetric_difference(&mut self, other: &Self) {
        self.combine(other, Keep::SYMMETRIC_DIFFERENCE);
    }

    /// The names of a pattern with their indexes in these sets.
    fn of_product(pattern: Pattern, sets: &[RangeSet]) -> Self {
        let level = (!sets.is_empty()).then(|| Level::product(sets));
        let body = Body::new(level);
        let body = (!body.is_empty()).then_some((pattern, body));
        Self {
            bodies: body.into_iter().collect(),
        }
    }

    fn combine(&mut self, other: &Self, keep: Keep) {
        if !keep.left {
            self.bodies
                .retain(|pattern, _| other.bodies.contains_key(pattern));
        }
        for (pattern, theirs) in &other.bodies {
            match self.bodies.get_mut(pattern) {
                Some(ours) => match ours.combine(theirs, keep) {
                    Some(body) => *ours = body,
                    None => {
                        self.bodies.remove(pattern);
                    }
                },
                None if keep.right => {
                    self.bodies.insert(pattern.clone(), theirs.clone());
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
