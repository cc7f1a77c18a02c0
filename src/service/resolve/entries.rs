//! Definitions as a flat list, a group before its members.

use std::sync::Arc;

use crate::service::definition::{Definition, DefinitionBody};
use crate::service::error::ServiceError;
use crate::service::expand::{Expander, Level, ScopeId};

/// One definition in the flat list, a group before its members.
pub(super) struct Entry<'d> {
    pub(super) definition: &'d Definition,
    pub(super) full_name: Arc<str>,
    pub(super) parent: Option<usize>,
    pub(super) scope: ScopeId,
    /// The levels of its actions.
    pub(super) actions: Vec<ScopeId>,
}

/// Lists the definitions and expands their targets. Recursion goes as deep as groups do, which reading bounds.
pub(super) fn flatten<'d>(
    definitions: &'d [Definition],
    (parent, above): (Option<usize>, ScopeId),
    expander: &mut Expander<'d>,
    entries: &mut Vec<Entry<'d>>,
) -> Result<(), ServiceError> {
    for definition in definitions {
        let settings = &definition.settings;
        let level = Level::Service(&definition.name);
        let scope = expander.scope(Some(above), level, &settings.variables, settings)?;
        let full_name: Arc<str> = match parent {
            Some(parent) => format!("{}.{}", entries[parent].full_name, definition.name).into(),
            None => definition.name.as_str().into(),
        };
        let within = |error: ServiceError| error.within(&full_name);
        expander.target(scope).map_err(within)?;
        let at = entries.len();
        entries.push(Entry {
            definition,
            full_name: Arc::clone(&full_name),
            parent,
            scope,
            actions: Vec::new(),
        });
        match &definition.body {
            DefinitionBody::Members(members) => {
                flatten(members, (Some(at), scope), expander, entries)?;
            }
            DefinitionBody::Actions(actions) => {
                for action in actions {
                    let settings = &action.settings;
                    let level = Level::Action(&action.name);
                    let own = expander.scope(Some(scope), level, &settings.variables, settings)?;
                    expander.target(own).map_err(within)?;
                    entries[at].actions.push(own);
                }
            }
        }
    }
    Ok(())
}
