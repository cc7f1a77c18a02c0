//! From definitions to a graph: expands values, hands settings down, and finds what each dependency means.

mod actions;
mod checks;
mod entries;
mod links;
mod purpose;
mod values;

use actions::{Inherited, Resolver};
use entries::flatten;
use links::resolve_links;

use crate::service::definition::{Definitions, Settings, Variable};
use crate::service::error::{Origin, ServiceError};
use crate::service::expand::{Expander, Level, Lookups, NodeFilter};
use crate::service::graph::{Body, Graph, Service};
use crate::service::id::ServiceId;
use crate::service::variables::{Template, ValueForm, Written};

pub use purpose::Purpose;

/// Makes the graph of what was read. `defines` replace global variables.
///
/// # Errors
/// The first thing that is wrong, in the order of the files.
pub fn resolve(
    definitions: &Definitions,
    purpose: Purpose,
    defines: &[(String, Template)],
    filter: &NodeFilter,
    lookups: &mut dyn Lookups,
) -> Result<Graph, ServiceError> {
    let globals = with_defines(&definitions.variables, defines);
    let root_settings = Settings::default();
    let mut expander = Expander::new(lookups, filter);
    let root = expander.scope(None, Level::Root, &globals, &root_settings)?;
    let mut entries = Vec::new();
    flatten(
        &definitions.services,
        (None, root),
        &mut expander,
        &mut entries,
    )?;
    let links = resolve_links(&entries, purpose, &mut expander)?;
    let mut resolver = Resolver {
        purpose,
        expander,
        actions: Vec::new(),
    };
    if purpose == Purpose::Run {
        resolver.expander.force(root)?;
    }
    let mut services: Vec<Service> = Vec::with_capacity(entries.len());
    let mut handed_down: Vec<Inherited> = Vec::with_capacity(entries.len());
    for (at, (entry, links)) in entries.iter().zip(links).enumerate() {
        let from = entry.parent.map(|parent| &handed_down[parent]);
        let within = |error: ServiceError| error.within(&entry.full_name);
        let settings = &entry.definition.settings;
        let inherited = resolver
            .inherited(entry.scope, settings, from)
            .map_err(within)?;
        let service = resolver
            .service(entry, at, &inherited, &services)
            .map_err(within)?;
        services.push(Service { links, ..service });
        handed_down.push(inherited);
    }
    for (at, entry) in entries.iter().enumerate() {
        if let (Some(parent), Ok(id)) = (entry.parent, u32::try_from(at))
            && let Body::Members(members) = &mut services[parent].body
        {
            members.push(ServiceId(id));
        }
    }
    let Resolver {
        mut expander,
        actions,
        ..
    } = resolver;
    if purpose == Purpose::Check {
        expander.inspect()?;
    }
    let graph = Graph::new(services, actions, expander.into_nodes());
    if purpose == Purpose::Check {
        graph.check()?;
    }
    Ok(graph)
}

/// The global variables with those of the command line in place of their namesakes or behind them.
fn with_defines(variables: &[Variable], defines: &[(String, Template)]) -> Vec<Variable> {
    let mut all = variables.to_vec();
    for (name, template) in defines {
        let value = Written {
            form: ValueForm::Template(template.clone()),
            origin: Origin {
                file: "the command line".into(),
                line: 1,
                column: 1,
            },
        };
        match all.iter_mut().find(|variable| variable.name == *name) {
            Some(variable) => variable.value = value,
            None => all.push(Variable {
                name: name.clone(),
                value,
            }),
        }
    }
    all
}
