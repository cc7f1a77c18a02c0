//! Which actions of a service check which.

use std::collections::HashMap;

use crate::service::definition::ActionDefinition;
use crate::service::error::ServiceError;

/// The actions each action checks, as positions, once it is sure that they end somewhere.
pub(super) fn check_positions(
    actions: &[ActionDefinition],
) -> Result<Vec<Vec<usize>>, ServiceError> {
    let positions: HashMap<&str, usize> = actions
        .iter()
        .enumerate()
        .map(|(at, action)| (action.name.as_str(), at))
        .collect();
    let mut checks = Vec::with_capacity(actions.len());
    for action in actions {
        let mut own = Vec::with_capacity(action.checks.len());
        for check in &action.checks {
            let Some(at) = positions.get(check.as_str()) else {
                return Err(ServiceError::clean(
                    format!(
                        "action '{}' checks '{check}', which it does not have",
                        action.name
                    ),
                    Some(&action.origin),
                ));
            };
            if !own.contains(at) {
                own.push(*at);
            }
        }
        checks.push(own);
    }
    // Strip actions whose checks are all stripped; what remains leads in a circle.
    let mut left: Vec<usize> = checks.iter().map(Vec::len).collect();
    let mut users = vec![Vec::new(); actions.len()];
    for (at, own) in checks.iter().enumerate() {
        for check in own {
            users[*check].push(at);
        }
    }
    let mut free: Vec<usize> = (0..left.len()).filter(|at| left[*at] == 0).collect();
    while let Some(at) = free.pop() {
        for user in &users[at] {
            left[*user] -= 1;
            if left[*user] == 0 {
                free.push(*user);
            }
        }
    }
    match left.iter().position(|left| *left > 0) {
        None => Ok(checks),
        Some(at) => Err(ServiceError::clean(
            format!(
                "the checks of action '{}' lead in a circle",
                actions[at].name
            ),
            Some(&actions[at].origin),
        )),
    }
}
