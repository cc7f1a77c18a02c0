//! Expression to node set. Groups come in by reference.

use std::fmt;
use std::rc::Rc;

use hashbrown::HashMap;

use super::expr::{Expr, Operand, Term};
use super::groups::{GroupError, Groups, Upcall};
use super::mask::Mask;
use super::parse::{ParseError, parse};
use super::span::Keep;
use super::{Builder, NodeSet};

/// Groups may name groups, but only so deep.
const MAX_DEPTH: usize = 200;

/// An operand may name so many groups.
const MAX_GROUPS: u128 = 1_000_000;

/// Wildcards are compared with so many names.
const MAX_COMPARED: u128 = 10_000_000;

/// Why an expression has no value. Displays as ClusterShell words it, but for groups that name each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvalError {
    /// The definition of a group is no node set, or the words of [`eval_words`] are none.
    Parse(ParseError),
    /// A source cannot be asked.
    Group(GroupError),
    /// The definition of a group could not be had.
    Map {
        /// The command, or what went wrong.
        command: String,
        /// The group as written.
        group: String,
    },
    /// Groups that name each other, or too many levels of groups: the way from the first to the last.
    Cycle(Vec<String>),
    /// Names that would have to be looked at one by one, and are too many for that.
    TooMany {
        /// How many there are.
        count: u128,
        /// How many there may be.
        most: u128,
        /// What they are for.
        what: &'static str,
    },
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(error) if error.is_too_large() => write!(f, "{error}"),
            Self::Parse(error) => write!(f, "Parse error: {error}"),
            Self::Group(error) => write!(f, "{error}"),
            Self::Map { command, group } => write!(f, "Parse error: {command}: \"{group}\""),
            Self::Cycle(way) if way.len() > MAX_DEPTH => {
                f.write_str("Parse error: groups are nested too deep")
            }
            Self::Cycle(way) => write!(
                f,
                "Parse error: groups name each other: {}",
                way.join(" -> ")
            ),
            Self::TooMany { count, most, what } => {
                write!(f, "{count} {what}, and at most {most} can be looked at")
            }
        }
    }
}

impl std::error::Error for EvalError {}

impl From<ParseError> for EvalError {
    fn from(error: ParseError) -> Self {
        Self::Parse(error)
    }
}

impl From<GroupError> for EvalError {
    fn from(error: GroupError) -> Self {
        Self::Group(error)
    }
}

/// Gives the value of an expression.
///
/// # Errors
/// When it names a group that cannot be resolved. An unknown group of a known source is empty.
pub fn eval(expr: &Expr, groups: &dyn Groups) -> Result<NodeSet, EvalError> {
    Evaluator::new(groups).expr(expr, None)
}

/// Nodes, and what of the expression they come from had no effect on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// The nodes.
    pub nodes: NodeSet,
    /// The operands that were to leave nodes out and met none.
    pub idle: Vec<String>,
}

/// Reads an expression and gives its value, as [`parse`] and [`eval`] do, without a copy of what was read.
///
/// # Errors
/// When it is none, or as [`eval`].
pub fn eval_text(text: &str, groups: &dyn Groups) -> Result<NodeSet, EvalError> {
    Evaluator::new(groups).owned(parse(text)?, None)
}

/// Gives the value of an expression that says which nodes are targeted. As [`eval`], but wildcards behind `!` and `&`
/// are compared with the nodes on their left, whether a group knows these or not.
///
/// # Errors
/// As [`eval`].
pub fn eval_targets(expr: &Expr, groups: &dyn Groups) -> Result<Targets, EvalError> {
    let mut idle = Vec::new();
    let mut evaluator = Evaluator::new(groups);
    let nodes = evaluator.terms(expr, None, Side::Include(&mut idle))?;
    Ok(Targets { nodes, idle })
}

/// Gives the value of an expression that says which of the targets are left out. As [`eval`], but wildcards are compared
/// with the targets.
///
/// # Errors
/// As [`eval`].
pub fn eval_exclusion(
    expr: &Expr,
    groups: &dyn Groups,
    targets: &NodeSet,
) -> Result<Targets, EvalError> {
    let mut evaluator = Evaluator::new(groups);
    let mut idle = Vec::new();
    if expr.terms.iter().any(|term| term.keep != Keep::UNION) {
        let nodes = evaluator.terms(expr, None, Side::Exclude(targets))?;
        if nodes.is_disjoint(targets) {
            idle.push(expr.to_string());
        }
        return Ok(Targets { nodes, idle });
    }
    let mut united = Builder::new();
    for term in &expr.terms {
        let mut one = Builder::new();
        evaluator.operand(&term.operand, None, Some(targets), &mut one)?;
        let one = one.finish();
        if one.is_disjoint(targets) {
            idle.push(term.operand.to_string());
        }
        united.add_set(&one);
    }
    Ok(Targets {
        nodes: united.finish(),
        idle,
    })
}

/// Gives the union of expressions that are separated by white space.
///
/// # Errors
/// When one of them is none, or names a group that cannot be resolved.
pub fn eval_words(text: &str, groups: &dyn Groups) -> Result<NodeSet, EvalError> {
    Evaluator::new(groups).text(text, None)
}

/// The nodes of a group, or all nodes of a source without a group's name.
///
/// # Errors
/// When the source cannot be asked, fails, or gives a definition that is no node set.
pub fn group_nodes(
    source: Option<&str>,
    group: Option<&str>,
    groups: &dyn Groups,
) -> Result<NodeSet, EvalError> {
    Evaluator::new(groups)
        .group_nodes(source, group)
        .map(Rc::unwrap_or_clone)
}

/// The names of the groups of a source, in order.
///
/// # Errors
/// When the source cannot be asked, or fails.
pub fn group_names(source: Option<&str>, groups: &dyn Groups) -> Result<NodeSet, GroupError> {
    Ok(groups.list(source)?.into_iter().collect())
}

/// What an expression is for, as far as that changes its value.
enum Side<'a> {
    /// Nothing that does.
    None,
    /// It says which nodes are targeted; collects what behind `!` meets none of them.
    Include(&'a mut Vec<String>),
    /// It says which of these are left out.
    Exclude(&'a NodeSet),
}

impl<'a> Side<'a> {
    const fn targets(&self) -> Option<&'a NodeSet> {
        match self {
            Self::None | Self::Include(_) => None,
            Self::Exclude(targets) => Some(targets),
        }
    }
}

/// Whether the operand has wildcards that are compared with the nodes on its left.
fn is_compared(term: &Term) -> bool {
    term.keep != Keep::SYMMETRIC_DIFFERENCE && matches!(term.operand, Operand::Matching(_))
}

/// A question to a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    source: Option<String>,
    /// The group, or all nodes.
    group: Option<String>,
    /// Whether wildcards in the answer are looked up.
    wildcards: Wildcards,
}

/// What wildcards in a definition are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wildcards {
    /// Nodes of the source that match.
    Matched,
    /// Text: this is what others are to be compared with.
    Literal,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(self.source.as_deref(), self.group.as_deref()))
    }
}

/// Resolves groups and remembers what they are, so that many questions ask each source once.
pub struct Evaluator<'a> {
    groups: &'a dyn Groups,
    wildcards: Wildcards,
    /// Which groups are being resolved.
    way: Vec<Question>,
    known: HashMap<Question, Rc<NodeSet>>,
}

impl fmt::Debug for Evaluator<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluator")
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Evaluator<'a> {
    /// One that has resolved nothing yet.
    #[must_use]
    pub fn new(groups: &'a dyn Groups) -> Self {
        Self {
            groups,
            wildcards: Wildcards::Matched,
            way: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// The nodes of a group, or all nodes of a source without a group's name.
    ///
    /// # Errors
    /// When the source cannot be asked, fails, or gives a definition that is no node set.
    pub fn group_nodes(
        &mut self,
        source: Option<&str>,
        group: Option<&str>,
    ) -> Result<Rc<NodeSet>, EvalError> {
        match group {
            Some(group) => self.group(source, group),
            None => self.all(source),
        }
    }

    /// Evaluates what a source has printed.
    fn text(&mut self, text: &str, source: Option<&str>) -> Result<NodeSet, EvalError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        self.owned(parse(&words.join(","))?, source)
    }

    /// As [`Evaluator::expr`], of an expression that is needed no more.
    fn owned(&mut self, expr: Expr, source: Option<&str>) -> Result<NodeSet, EvalError> {
        let mut value = Builder::new();
        for Term { keep, operand } in expr.terms {
            let mut other = Builder::new();
            let into = match keep {
                Keep::UNION => &mut value,
                _ => &mut other,
            };
            if let Operand::Nodes(product) = operand {
                into.take_product(&product.pattern, product.sets);
            } else {
                self.operand(&operand, source, None, into)?;
            }
            if keep != Keep::UNION {
                value.combine(other.finish(), keep);
            }
        }
        Ok(value.finish())
    }

    /// Evaluates an expression in which groups without a source belong to `source`.
    fn expr(&mut self, expr: &Expr, source: Option<&str>) -> Result<NodeSet, EvalError> {
        self.terms(expr, source, Side::None)
    }

    fn terms(
        &mut self,
        expr: &Expr,
        source: Option<&str>,
        mut side: Side<'_>,
    ) -> Result<NodeSet, EvalError> {
        let mut value = Builder::new();
        for term in &expr.terms {
            if term.keep == Keep::UNION {
                self.operand(&term.operand, source, side.targets(), &mut value)?;
                continue;
            }
            let mut other = Builder::new();
            let compared = match &side {
                Side::Include(_) if is_compared(term) => Some(value.value()),
                Side::None | Side::Include(_) | Side::Exclude(_) => side.targets(),
            };
            self.operand(&term.operand, source, compared, &mut other)?;
            let other = other.finish();
            if let Side::Include(idle) = &mut side
                && term.keep == Keep::DIFFERENCE
                && value.is_disjoint(&other)
            {
                idle.push(term.operand.to_string());
            }
            value.combine(other, term.keep);
        }
        Ok(value.finish())
    }

    /// Adds the value of an operand. Wildcards are compared with the given nodes, else with all of the source in which
    /// they stand.
    fn operand(
        &mut self,
        operand: &Operand,
        here: Option<&str>,
        compared: Option<&NodeSet>,
        into: &mut Builder,
    ) -> Result<(), EvalError> {
        let bounded = |set: &NodeSet, most, what| match set.count() {
            count if count > most => Err(EvalError::TooMany { count, most, what }),
            _ => Ok(()),
        };
        match operand {
            Operand::Name(name) => into.add(name),
            Operand::Nodes(product) => into.add_product(&product.pattern, &product.sets),
            Operand::Matching(product)
                if compared.is_none() && self.wildcards == Wildcards::Literal =>
            {
                into.add_product(&product.pattern, &product.sets);
            }
            Operand::Matching(product) => {
                let mask = Mask::of(product);
                let all;
                let compared = match compared {
                    Some(nodes) => nodes,
                    None => {
                        self.wildcards = Wildcards::Literal;
                        let found = self.all(here);
                        self.wildcards = Wildcards::Matched;
                        all = found?;
                        &all
                    }
                };
                bounded(
                    compared,
                    MAX_COMPARED,
                    "nodes are to be compared with a pattern",
                )?;
                for name in compared.iter().filter(|name| mask.matches(name)) {
                    into.add(&name);
                }
            }
            Operand::Group { source, names } => {
                let groups = names.set();
                bounded(&groups, MAX_GROUPS, "groups are named")?;
                let groups: Vec<String> = groups.iter().collect();
                into.add_set(&self.groups(source.as_deref().or(here), &groups)?);
            }
            Operand::All { source } => {
                let all = self.all(source.as_deref().or(here))?;
                into.add_set(&all);
            }
            Operand::GroupNames { source } => {
                let source = source.as_deref().or(here);
                into.add_set(&group_names(source, self.groups)?);
            }
        }
        Ok(())
    }

    fn group(&mut self, source: Option<&str>, name: &str) -> Result<Rc<NodeSet>, EvalError> {
        self.once(source, Some(name), |this| {
            let text = this.groups.map(source, name).map_err(|error| {
                if let GroupError::Failed {
                    upcall: Upcall::Map,
                    command,
                } = error
                {
                    let group = written(source, Some(name));
                    return EvalError::Map { command, group };
                }
                error.into()
            })?;
            this.text(&text, source)
        })
    }

    fn all(&mut self, source: Option<&str>) -> Result<Rc<NodeSet>, EvalError> {
        self.once(source, None, |this| {
            if let Some(text) = this.groups.all(source)? {
                return this.text(&text, source);
            }
            let names: Vec<String> = group_names(source, this.groups)?.iter().collect();
            this.groups(source, &names)
        })
    }

    /// The union of several groups.
    fn groups(&mut self, source: Option<&str>, names: &[String]) -> Result<NodeSet, EvalError> {
        if names.len() > 1 {
            self.groups.prepare(source, Upcall::Map, names);
        }
        let mut union = Builder::new();
        for name in names {
            union.add_set(&*self.group(source, name)?);
        }
        Ok(union.finish())
    }

    /// Resolves what was not resolved before, unless it is being resolved.
    fn once(
        &mut self,
        source: Option<&str>,
        group: Option<&str>,
        resolve: impl FnOnce(&mut Self) -> Result<NodeSet, EvalError>,
    ) -> Result<Rc<NodeSet>, EvalError> {
        let question = Question {
            source: source.map(Into::into),
            group: group.map(Into::into),
            wildcards: self.wildcards,
        };
        if let Some(known) = self.known.get(&question) {
            return Ok(Rc::clone(known));
        }
        let begun = self.way.iter().position(|asked| *asked == question);
        if begun.is_some() || self.way.len() == MAX_DEPTH {
            let way = self.way[begun.unwrap_or(0)..].iter().chain([&question]);
            return Err(EvalError::Cycle(way.map(ToString::to_string).collect()));
        }
        self.way.push(question.clone());
        let nodes = resolve(self);
        self.way.pop();
        let nodes = Rc::new(nodes?);
        self.known.insert(question, Rc::clone(&nodes));
        Ok(nodes)
    }
}

/// A group as it is written in an expression.
fn written(source: Option<&str>, group: Option<&str>) -> String {
    let group = group.unwrap_or("*");
    source.map_or_else(
        || format!("@{group}"),
        |source| format!("@{source}:{group}"),
    )
}
