//! What a run pulls in, from the services via for along the arrows, and whether these lead in a circle.
//!
//! Every service has a beginning, which waits for its dependencies and for the beginning of its group, and
//! an end, which waits for its beginning and, in a group, for the ends of the members. Reversing a run
//! mirrors exactly this.

use super::error::ServiceError;
use super::graph::{Direction, Graph, Link, Word};
use super::id::ServiceId;

/// Which arrows a run follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinkFilter<'a> {
    /// From dependents to dependencies, or back.
    pub(super) direction: Direction,
    /// Per service: whether it is taken out of the run.
    pub(super) locked: &'a [bool],
    /// Whether arrows between top-level services are ignored.
    pub(super) within_top: bool,
}

impl LinkFilter<'_> {
    /// The links the service follows.
    pub(super) fn links<'g>(
        &self,
        graph: &'g Graph,
        from: ServiceId,
    ) -> impl Iterator<Item = Link> + 'g
    where
        Self: 'g,
    {
        let Self {
            direction,
            locked,
            within_top,
        } = *self;
        graph
            .dependencies(from, direction)
            .iter()
            .copied()
            .filter(move |link| holds(graph, locked, within_top, (from, link.to)))
    }

    /// The links along which others follow the service.
    pub(super) fn followers<'g>(
        &self,
        graph: &'g Graph,
        to: ServiceId,
    ) -> impl Iterator<Item = Link> + 'g
    where
        Self: 'g,
    {
        let Self {
            direction,
            locked,
            within_top,
        } = *self;
        graph
            .dependencies(to, direction.opposite())
            .iter()
            .copied()
            .filter(move |link| holds(graph, locked, within_top, (link.to, to)))
    }
}

fn holds(
    graph: &Graph,
    locked: &[bool],
    within_top: bool,
    (from, to): (ServiceId, ServiceId),
) -> bool {
    !locked[to.index()] && (!within_top || graph.service(from).top == graph.service(to).top)
}

impl Graph {
    /// Makes sure that no service waits for itself, wherever a walk begins.
    ///
    /// # Errors
    /// `Dependency loop: a -> b -> a`.
    pub fn check(&self) -> Result<(), ServiceError> {
        let nothing_locked = vec![false; self.services().len()];
        let filter = LinkFilter {
            direction: Direction::Forward,
            locked: &nothing_locked,
            within_top: false,
        };
        reach(self, &filter, self.tops()).map(drop)
    }
}

/// How far a service takes part in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// Not at all.
    None,
    /// A group some of whose members run: they wait for what the group waits for.
    Beginning,
    /// It runs.
    Whole(Via),
}

/// Which action a service is reached with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// The one via for.
    Request,
    /// `status`, through a `check`.
    Check,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Beginning,
    End,
}

#[derive(Debug, Clone, Copy)]
struct Visit {
    service: ServiceId,
    side: Side,
    via: Via,
}

/// Follows the arrows from `starts`, depth first, without recursion.
pub(super) fn reach(
    graph: &Graph,
    filter: &LinkFilter<'_>,
    starts: &[ServiceId],
) -> Result<Vec<Reached>, ServiceError> {
    let count = graph.services().len();
    let mut reached = vec![Reached::None; count];
    let mut marks = [vec![Mark::New; count], vec![Mark::New; count]];
    let mut stack: Vec<(Visit, std::vec::IntoIter<Visit>)> = Vec::new();
    for start in starts {
        let mut next = Some(Visit {
            service: *start,
            side: Side::End,
            via: Via::Request,
        });
        while let Some(visit) = next {
            match marks[visit.side as usize][visit.service.index()] {
                Mark::Open => return Err(circle(graph, &stack, visit)),
                Mark::Closed => {}
                Mark::New => {
                    marks[visit.side as usize][visit.service.index()] = Mark::Open;
                    let part = &mut reached[visit.service.index()];
                    if visit.side == Side::End {
                        *part = Reached::Whole(visit.via);
                    } else if *part == Reached::None {
                        *part = Reached::Beginning;
                    }
                    stack.push((visit, children(graph, filter, visit).into_iter()));
                }
            }
            next = loop {
                let Some((visit, rest)) = stack.last_mut() else {
                    break None;
                };
                if let Some(child) = rest.next() {
                    break Some(child);
                }
                marks[visit.side as usize][visit.service.index()] = Mark::Closed;
                stack.pop();
            };
        }
    }
    Ok(reached)
}

/// What a beginning or an end waits for, in the order it is reached.
fn children(graph: &Graph, filter: &LinkFilter<'_>, from: Visit) -> Vec<Visit> {
    let Visit { service, side, via } = from;
    let end_of = |service, via| Visit {
        service,
        side: Side::End,
        via,
    };
    let beginning_of = |service| Visit {
        service,
        side: Side::Beginning,
        via,
    };
    match side {
        Side::Beginning => filter
            .links(graph, service)
            .map(|link| {
                let by_check = link.word == Word::Check && filter.direction == Direction::Forward;
                end_of(link.to, if by_check { Via::Check } else { via })
            })
            .chain(graph.service(service).parent.map(beginning_of))
            .collect(),
        Side::End => {
            // The members that decide go first: they pull the others.
            let (leaves, others): (Vec<_>, Vec<_>) = graph
                .members(service)
                .iter()
                .partition(|member| graph.is_leaf(**member, filter.direction));
            std::iter::once(beginning_of(service))
                .chain(leaves.into_iter().chain(others).map(|id| end_of(id, via)))
                .collect()
        }
    }
}

/// The error for the circle that `again` closes.
fn circle(
    graph: &Graph,
    stack: &[(Visit, std::vec::IntoIter<Visit>)],
    again: Visit,
) -> ServiceError {
    let begin = stack
        .iter()
        .position(|(visit, _)| (visit.service, visit.side) == (again.service, again.side))
        .unwrap_or(0);
    let mut names: Vec<&str> = stack[begin..]
        .iter()
        .map(|(visit, _)| visit.service)
        .chain([again.service])
        .map(|id| &*graph.service(id).full_name)
        .collect();
    names.dedup();
    if names.len() == 1 {
        names.push(names[0]);
    }
    ServiceError::clean(format!("Dependency loop: {}", names.join(" -> ")), None)
}
