//! From `--socket` and the configuration to the stats sockets of a run.

use std::collections::HashSet;

use super::{Invocation, nodes};
use crate::cli::error::CliError;
use crate::config::{Instance as Configured, Values};
use crate::haproxy::select::Selector;
use crate::nodeset::{self, Groups, NodeSet};
use crate::transport::Endpoint;
use crate::work::haproxy::{Instance, Masters, Sockets};

/// Reads a socket as it is named on the command line: a path, or `tcp:HOST:PORT`.
///
/// # Errors
/// What is neither.
pub fn endpoint(text: &str) -> Result<Endpoint, CliError> {
    let wrong = || {
        CliError::usage(format!(
            "bad socket `{text}`: expected an absolute path or tcp:HOST:PORT"
        ))
    };
    if let Some(address) = text.strip_prefix("tcp:") {
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || port == 0 || !host.chars().all(plain) {
            return Err(wrong());
        }
        return Ok(Endpoint::Tcp {
            host: host.to_owned(),
            port,
        });
    }
    if !text.starts_with('/') || text.chars().any(char::is_control) {
        return Err(wrong());
    }
    Ok(Endpoint::Unix(text.to_owned()))
}

/// One of the configuration's instances.
///
/// # Errors
/// A socket, node set or pattern that cannot be read.
pub fn instance(
    name: &str,
    configured: &Configured,
    groups: &dyn Groups,
) -> Result<Instance, CliError> {
    let within = |error: String| CliError::config(format!("haproxy.instances.{name}: {error}"));
    let nodes = |text: &String| -> Result<NodeSet, CliError> {
        let expression = nodeset::parse(text).map_err(|error| within(error.to_string()))?;
        nodeset::eval(&expression, groups).map_err(|error| within(error.to_string()))
    };
    let backends = |text: &String| {
        Selector::parse(&format!("{text}/*")).map_err(|error| within(error.to_string()))
    };
    Ok(Instance {
        label: name.to_owned(),
        endpoint: endpoint(&configured.socket).map_err(|error| within(error.message))?,
        backends: configured
            .backend
            .iter()
            .map(backends)
            .collect::<Result<_, _>>()?,
        nodes: configured.nodes.as_ref().map(nodes).transpose()?,
    })
}

/// The servers that a verb's words mean.
///
/// # Errors
/// A word that could mean no server.
pub fn selectors(words: &[String]) -> Result<Vec<Selector>, CliError> {
    words
        .iter()
        .map(|word| Selector::parse(word).map_err(|error| CliError::usage(error.to_string())))
        .collect()
}

/// The sockets of a run: those of `--socket`, else what the configuration says.
///
/// # Errors
/// A socket, node set or pattern that cannot be read.
pub fn sockets(asked: Invocation<'_>) -> Result<Sockets, CliError> {
    let groups = nodes::groups(&asked.site.environment);
    of(&asked.options.reach.socket, asked.site.values()?, &groups)
}

/// The sockets of masters: those of `--master`, else the configuration's, else the usual places.
///
/// # Errors
/// A socket that cannot be read.
pub fn masters(asked: Invocation<'_>) -> Result<Masters, CliError> {
    masters_of(&asked.options.reach.master, asked.site.values()?)
}

fn masters_of(asked: &[String], values: &Values) -> Result<Masters, CliError> {
    let places = |texts: &mut dyn Iterator<Item = &String>| {
        let mut seen = HashSet::new();
        let texts = texts.filter(|text| seen.insert(*text));
        texts
            .map(|text| endpoint(text))
            .collect::<Result<Vec<_>, _>>()
    };
    if !asked.is_empty() {
        return Ok(Masters {
            places: places(&mut asked.iter())?,
            named: true,
        });
    }
    let instances = values.haproxy.instances.values();
    let instances = instances.filter_map(|instance| instance.master.as_ref());
    let configured = places(&mut values.haproxy.master.iter().chain(instances))
        .map_err(|error| CliError::config(format!("haproxy.master: {}", error.message)))?;
    if configured.is_empty() {
        return Ok(Masters::default());
    }
    // Not every node has every instance, so that one that does not answer is no mistake of the file.
    Ok(Masters {
        places: configured,
        named: false,
    })
}

/// The sockets that are named, else the configuration's instances, else its sockets, else the first of the usual
/// places.
///
/// # Errors
/// A socket, node set or pattern that cannot be read.
pub fn of(asked: &[String], values: &Values, groups: &dyn Groups) -> Result<Sockets, CliError> {
    if !asked.is_empty() {
        return each(asked);
    }
    if !values.haproxy.instances.is_empty() {
        let instances = values.haproxy.instances.iter();
        let instances = instances.map(|(name, configured)| instance(name, configured, groups));
        return Ok(Sockets::Each(instances.collect::<Result<_, _>>()?));
    }
    let usual = Values::built_in().haproxy.sockets;
    if values.haproxy.sockets.is_empty() || values.haproxy.sockets == usual {
        let places = usual.iter().map(|text| endpoint(text));
        return Ok(Sockets::FirstOf(places.collect::<Result<_, _>>()?));
    }
    each(&values.haproxy.sockets)
}

/// One HAProxy at each socket, called by the base name of its path, or by the whole of it where two are alike.
fn each(texts: &[String]) -> Result<Sockets, CliError> {
    let mut seen = HashSet::new();
    let texts: Vec<&String> = texts.iter().filter(|text| seen.insert(*text)).collect();
    let base = |text: &str| text.rsplit('/').next().unwrap_or(text).to_owned();
    let bases: Vec<String> = texts.iter().map(|text| base(text)).collect();
    let label = |text: &str| {
        let own = base(text);
        let unique = bases.iter().filter(|other| **other == own).count() == 1;
        if unique { own } else { text.to_owned() }
    };
    let instance = |text: &&String| {
        Ok(Instance {
            label: label(text),
            endpoint: endpoint(text)?,
            backends: Vec::new(),
            nodes: None,
        })
    };
    let instances = texts
        .iter()
        .map(instance)
        .collect::<Result<_, CliError>>()?;
    Ok(Sockets::Each(instances))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodeset::NoGroups;

    #[test]
    fn sockets_are_paths_or_tcp() {
        assert_eq!(
            endpoint("/run/x").unwrap(),
            Endpoint::Unix("/run/x".to_owned())
        );
        let tcp = |host: &str, port| Endpoint::Tcp {
            host: host.to_owned(),
            port,
        };
        assert_eq!(
            endpoint("tcp:127.0.0.1:9999").unwrap(),
            tcp("127.0.0.1", 9999)
        );
        assert_eq!(endpoint("tcp:[::1]:9999").unwrap(), tcp("::1", 9999));
        for text in [
            "",
            "run/x",
            "tcp:",
            "tcp:host",
            "tcp:host:0",
            "tcp:::1:9",
            "tcp:a b:9",
            "/run/x\n",
            "tcp:$(x):9",
        ] {
            assert_eq!(endpoint(text).unwrap_err().code(), 64, "{text:?}");
        }
    }

    #[test]
    fn masters_are_named_configured_or_usual() {
        let places = |masters: Masters| {
            let places: Vec<String> = masters.places.iter().map(ToString::to_string).collect();
            (places, masters.named)
        };
        let mut values = Values::built_in();
        let usual = places(masters_of(&[], &values).unwrap());
        assert!(usual.0.len() > 1 && !usual.1, "{usual:?}");
        values.haproxy.master = vec!["/run/m.sock".to_owned()];
        for (name, master) in [("a", "/run/a.sock"), ("b", "/run/m.sock")] {
            let instance = Configured {
                socket: "/run/x".to_owned(),
                master: Some(master.to_owned()),
                ..Configured::default()
            };
            values.haproxy.instances.insert(name.to_owned(), instance);
        }
        let configured = places(masters_of(&[], &values).unwrap());
        let both = ["/run/m.sock".to_owned(), "/run/a.sock".to_owned()];
        assert_eq!(configured, (both.to_vec(), false));
        let asked = masters_of(&["/run/c.sock".to_owned()], &values).unwrap();
        assert_eq!(places(asked), (vec!["/run/c.sock".to_owned()], true));
        assert_eq!(
            masters_of(&["x".to_owned()], &values).unwrap_err().code(),
            64
        );
        values.haproxy.master = vec!["m".to_owned()];
        assert_eq!(masters_of(&[], &values).unwrap_err().code(), 78);
    }

    fn labels(sockets: Sockets) -> Vec<String> {
        match sockets {
            Sockets::FirstOf(_) => Vec::new(),
            Sockets::Each(instances) => instances.into_iter().map(|one| one.label).collect(),
        }
    }

    #[test]
    fn instances_are_called_by_what_tells_them_apart() {
        let values = Values::built_in();
        let asked = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            labels(of(&texts, &values, &NoGroups).unwrap())
        };
        assert_eq!(
            asked(&["/run/a/puppet.sock", "/run/ldap.sock"]),
            ["puppet.sock", "ldap.sock"]
        );
        assert_eq!(
            asked(&["/run/a/admin.sock", "/run/b/admin.sock"]),
            ["/run/a/admin.sock", "/run/b/admin.sock"]
        );
        assert_eq!(
            asked(&["/run/x", "/run/x"]),
            ["x"],
            "one socket named twice is one HAProxy"
        );
    }

    #[test]
    fn the_command_line_beats_instances_beat_the_usual_places() {
        let mut values = Values::built_in();
        assert!(
            matches!(of(&[], &values, &NoGroups), Ok(Sockets::FirstOf(places)) if places.len() == 4)
        );
        let puppet = Configured {
            nodes: Some("lb[1-2]".to_owned()),
            socket: "/run/haproxy/admin.sock".to_owned(),
            master: None,
            backend: Some("*_puppet_masters".to_owned()),
        };
        values.haproxy.instances.insert("puppet".to_owned(), puppet);
        assert_eq!(labels(of(&[], &values, &NoGroups).unwrap()), ["puppet"]);
        assert_eq!(
            labels(of(&["/x".to_owned()], &values, &NoGroups).unwrap()),
            ["x"]
        );
        values.haproxy.instances.clear();
        values.haproxy.sockets = vec!["/a".to_owned(), "/b".to_owned()];
        assert_eq!(labels(of(&[], &values, &NoGroups).unwrap()), ["a", "b"]);
    }
}
