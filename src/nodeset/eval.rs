//! Expression to node set. Groups come in by reference.

use std::collections::HashMap;
use std::fmt;

use super::mask::Mask;
use super::parse::{Expr, Operand, ParseError, Product, parse};
use super::span::Keep;
use super::{Builder, NodeSet};

/// Groups may name groups, but only so deep.
const MAX_DEPTH: usize = 200;

/// An operand may name so many groups.
const MAX_GROUPS: u128 = 1_000_000;

/// Wildcards are compared with so many names.
const MAX_COMPARED: u128 = 10_000_000;

/// Where groups come from. A source of `None` is the default source.
///
/// Definitions are node set expressions, several of them separated by white space; [`eval`] resolves
/// the groups they name.
pub trait Groups {
    /// The definition of a group; empty if the source answers with nothing.
    ///
    /// # Errors
    /// When there is no such source, or it fails.
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError>;

    /// The definition of all nodes; `None` if the source has none, then it is the union of its groups.
    ///
    /// # Errors
    /// When there is no such source, or it fails.
    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError>;

    /// The names of all groups.
    ///
    /// # Errors
    /// When there is no such source, it cannot list its groups, or it fails.
    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError>;

    /// The groups that have the node; `None` if the source cannot tell without a look at every group.
    ///
    /// # Errors
    /// When there is no such source, or it fails.
    fn reverse(&self, source: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError>;

    /// The names of the sources, the default first.
    ///
    /// # Errors
    /// When the configuration of the sources cannot be used.
    fn sources(&self) -> Result<Vec<String>, GroupError>;

    /// These questions will be asked one by one: a source may ask them all at once now.
    fn prepare(&self, source: Option<&str>, upcall: Upcall, subjects: &[String]) {
        let _ = (source, upcall, subjects);
    }
}

impl<G: Groups + ?Sized> Groups for &G {
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError> {
        (**self).map(source, group)
    }

    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError> {
        (**self).all(source)
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        (**self).list(source)
    }

    fn reverse(&self, source: Option<&str>, node: &str) -> Result<Option<Vec<String>>, GroupError> {
        (**self).reverse(source, node)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        (**self).sources()
    }

    fn prepare(&self, source: Option<&str>, upcall: Upcall, subjects: &[String]) {
        (**self).prepare(source, upcall, subjects);
    }
}

/// No source at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoGroups;

impl NoGroups {
    fn error<T>(source: Option<&str>) -> Result<T, GroupError> {
        Err(GroupError::UnknownSource(
            source.unwrap_or("<default>").into(),
        ))
    }
}

impl Groups for NoGroups {
    fn map(&self, source: Option<&str>, _: &str) -> Result<String, GroupError> {
        Self::error(source)
    }

    fn all(&self, source: Option<&str>) -> Result<Option<String>, GroupError> {
        Self::error(source)
    }

    fn list(&self, source: Option<&str>) -> Result<Vec<String>, GroupError> {
        Self::error(source)
    }

    fn reverse(&self, source: Option<&str>, _: &str) -> Result<Option<Vec<String>>, GroupError> {
        Self::error(source)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        Ok(Vec::new())
    }
}

/// What a source can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upcall {
    /// The nodes of a group.
    Map,
    /// All nodes.
    All,
    /// All groups.
    List,
    /// The groups of a node.
    Reverse,
}

impl fmt::Display for Upcall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Map => "map",
            Self::All => "all",
            Self::List => "list",
            Self::Reverse => "reverse",
        })
    }
}

/// Why groups could not be had. Displays as ClusterShell words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupError {
    /// No source of that name, `<default>` if there is none at all.
    UnknownSource(String),
    /// The source does not define what it was asked for.
    NoUpcall {
        /// What it was asked for.
        upcall: Upcall,
        /// Its name.
        source: String,
    },
    /// The source was asked and failed.
    Failed {
        /// What it was asked for.
        upcall: Upcall,
        /// Its command, or what went wrong.
        command: String,
    },
    /// A group name with a character that means something in node sets.
    IllegalCharacter(String),
    /// The configuration of the sources is not valid.
    Config(String),
    /// A file that is not in the dialect it should be in: the whole message.
    File(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSource(source) => write!(f, "Unknown group source: \"{source}\""),
            Self::NoUpcall { upcall, source } => {
                write!(
                    f,
                    "No {upcall} upcall defined for group source \"{source}\""
                )
            }
            Self::Failed { upcall, command } => match upcall {
                Upcall::Map => f.write_str(command),
                Upcall::All => write!(f, "External error: Failed to get all nodes: {command}"),
                Upcall::List => write!(f, "Group error: {command}"),
                Upcall::Reverse => {
                    write!(f, "External error: Group source query failed: {command}")
                }
            },
            Self::IllegalCharacter(character) => {
                write!(f, "Illegal group character: \"{character}\"")
            }
            Self::Config(message) => write!(f, "Group resolver error: {message}"),
            Self::File(message) => f.write_str(message),
            Self::Other(message) => write!(f, "External error: {message}"),
        }
    }
}

impl std::error::Error for GroupError {}

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
    Evaluation::new(groups).expr(expr, None)
}

/// Nodes, and what of the expression they come from had no effect on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// The nodes.
    pub nodes: NodeSet,
    /// The operands that were to leave nodes out and met none.
    pub idle: Vec<String>,
}

/// Gives the value of an expression that says which nodes are targeted. As [`eval`], but wildcards behind `!` and `&`
/// are compared with the nodes on their left, whether a group knows these or not.
///
/// # Errors
/// As [`eval`].
pub fn eval_targets(expr: &Expr, groups: &dyn Groups) -> Result<Targets, EvalError> {
    let mut idle = Vec::new();
    let mut evaluation = Evaluation::new(groups);
    let nodes = evaluation.terms(expr, None, Side::Include(&mut idle))?;
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
    let mut evaluation = Evaluation::new(groups);
    let mut idle = Vec::new();
    if expr.terms.iter().any(|term| term.keep != Keep::UNION) {
        let nodes = evaluation.terms(expr, None, Side::Exclude(targets))?;
        if nodes.is_disjoint(targets) {
            idle.push(expr.to_string());
        }
        return Ok(Targets { nodes, idle });
    }
    let mut united = Builder::new();
    for term in &expr.terms {
        let mut one = Builder::new();
        evaluation.operand(&term.operand, None, Some(targets), &mut one)?;
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
    Evaluation::new(groups).text(text, None)
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
    let mut evaluation = Evaluation::new(groups);
    match group {
        Some(group) => evaluation.group(source, group),
        None => evaluation.all(source),
    }
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

impl Product {
    /// The names.
    fn set(&self) -> NodeSet {
        let mut names = Builder::new();
        names.add_product(&self.pattern, &self.sets);
        names.finish()
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

/// A question to a source: the group, or all of it.
type Question = (Option<String>, Option<String>);

/// One evaluation: which groups are being resolved, and which were.
struct Evaluation<'a> {
    groups: &'a dyn Groups,
    way: Vec<Question>,
    known: HashMap<Question, NodeSet>,
}

impl<'a> Evaluation<'a> {
    fn new(groups: &'a dyn Groups) -> Self {
        Self {
            groups,
            way: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// Evaluates what a source has printed.
    fn text(&mut self, text: &str, source: Option<&str>) -> Result<NodeSet, EvalError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        self.expr(&parse(&words.join(","))?, source)
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
        let mut value = NodeSet::new();
        // Unions are gathered, and made when another operator or the end comes.
        let mut united = Builder::new();
        let mut waiting = false;
        for term in &expr.terms {
            if term.keep == Keep::UNION {
                self.operand(&term.operand, source, side.targets(), &mut united)?;
                waiting = true;
                continue;
            }
            if std::mem::take(&mut waiting) {
                value.union(&std::mem::take(&mut united).finish());
            }
            let mut other = Builder::new();
            let compared = match &side {
                Side::Include(_) if term.keep != Keep::SYMMETRIC_DIFFERENCE => Some(&value),
                Side::None | Side::Include(_) | Side::Exclude(_) => side.targets(),
            };
            self.operand(&term.operand, source, compared, &mut other)?;
            let other = other.finish();
            if let Side::Include(idle) = &mut side
                && term.keep == Keep::DIFFERENCE
                && other.is_disjoint(&value)
            {
                idle.push(term.operand.to_string());
            }
            value.combine(&other, term.keep);
        }
        if waiting {
            let united = united.finish();
            if value.is_empty() {
                return Ok(united);
            }
            value.union(&united);
        }
        Ok(value)
    }

    /// Adds the value of an operand. Wildcards are compared with the given nodes, else with all of the default source.
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
            Operand::Nodes(product) => into.add_product(&product.pattern, &product.sets),
            Operand::Matching(product) => {
                let mask = Mask::of(product);
                let all;
                let compared = match compared {
                    Some(nodes) => nodes,
                    None => {
                        all = self.all(None)?;
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
            Operand::All { source } => into.add_set(&self.all(source.as_deref().or(here))?),
            Operand::GroupNames { source } => {
                let source = source.as_deref().or(here);
                into.add_set(&group_names(source, self.groups)?);
            }
        }
        Ok(())
    }

    fn group(&mut self, source: Option<&str>, name: &str) -> Result<NodeSet, EvalError> {
        self.once((source.map(Into::into), Some(name.into())), |this| {
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

    fn all(&mut self, source: Option<&str>) -> Result<NodeSet, EvalError> {
        self.once((source.map(Into::into), None), |this| {
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
            union.add_set(&self.group(source, name)?);
        }
        Ok(union.finish())
    }

    /// Resolves what was not resolved before, unless it is being resolved.
    fn once(
        &mut self,
        question: Question,
        resolve: impl FnOnce(&mut Self) -> Result<NodeSet, EvalError>,
    ) -> Result<NodeSet, EvalError> {
        if let Some(known) = self.known.get(&question) {
            return Ok(known.clone());
        }
        let begun = self.way.iter().position(|asked| *asked == question);
        self.way.push(question.clone());
        if begun.is_some() || self.way.len() > MAX_DEPTH {
            let way = self.way[begun.unwrap_or(0)..].iter();
            let names = way.map(|(source, group)| written(source.as_deref(), group.as_deref()));
            return Err(EvalError::Cycle(names.collect()));
        }
        let nodes = resolve(self)?;
        self.way.pop();
        self.known.insert(question, nodes.clone());
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
