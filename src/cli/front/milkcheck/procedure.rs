//! The embedded procedure `haproxy`: the instances of the configuration as services.

use std::fmt::Write as _;

use crate::config::Instance;

/// The YAML of the procedure, made of the instances in the order of the configuration.
///
/// One instance after the other (`fanout: 1`), each on all of its nodes: what is shown has an order, and a
/// change that goes wrong on one is seen before the next.
pub(super) fn yaml<'i>(instances: impl IntoIterator<Item = (&'i str, &'i Instance)>) -> String {
    let mut text = "\
# HAProxy's servers as services: one service for each instance of [haproxy.instances].
# milkcheck haproxy status                       shows servers that are not well
# milkcheck haproxy -D server=web1 disable       takes web1 out wherever it is; enable puts it back
variables:
  server: \"\"
services:
  haproxy:
    fanout: 1
    services:
"
    .to_owned();
    let mut any = false;
    for (name, instance) in instances {
        any = true;
        let _ = writeln!(text, "      {}:", quoted(name));
        if let Some(nodes) = &instance.nodes {
            let _ = writeln!(text, "        target: {}", quoted(nodes));
        }
        text.push_str("        actions:\n");
        let mut keys = format!("server: \"%server\", socket: {}", quoted(&instance.socket));
        if let Some(backend) = &instance.backend {
            let _ = write!(keys, ", backend: {}", quoted(backend));
        }
        for verb in ["status", "enable", "disable", "drain"] {
            let _ = writeln!(text, "          {verb}: {{haproxy: {verb}, {keys}}}");
        }
    }
    if !any {
        text.truncate(text.trim_end().len());
        text.push_str(" {}\n");
    }
    text
}

/// The instance that a service's name means, such as `puppet` of `haproxy.puppet`.
pub(super) fn part<'w>(procedure: &str, word: &'w str) -> Option<&'w str> {
    let part = word.strip_prefix(procedure)?.strip_prefix('.')?;
    (!part.is_empty()).then_some(part)
}

/// Puts the procedure in the place of its parts, and returns these; none means all of it. A word that is the name of
/// another service stays.
pub(super) fn take_parts(
    procedure: &str,
    words: &mut Vec<String>,
    is_service: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut parts = Vec::new();
    let mut is_whole = false;
    let mut kept: Vec<String> = Vec::new();
    for word in words.drain(..) {
        let of_procedure = match part(procedure, &word).filter(|_| !is_service(&word)) {
            Some(part) => {
                parts.push(part.to_owned());
                true
            }
            None => {
                is_whole |= word == procedure;
                word == procedure
            }
        };
        let word = if of_procedure {
            procedure.to_owned()
        } else {
            word
        };
        if !of_procedure || !kept.contains(&word) {
            kept.push(word);
        }
    }
    *words = kept;
    if is_whole {
        parts.clear();
    }
    parts
}

/// The instance that is shown when the configuration has none, and that the lab has.
pub(super) fn example() -> Instance {
    Instance {
        nodes: Some("lb[1-2]".to_owned()),
        socket: "/run/haproxy/admin.sock".to_owned(),
        master: None,
        backend: None,
    }
}

/// The instances of the embedded lab: parts of its one HAProxy.
pub(super) fn lab() -> [(&'static str, Instance); 3] {
    ["http", "ldap", "puppet"].map(|name| {
        let backend = Some(format!("*{name}*"));
        (
            name,
            Instance {
                backend,
                ..example()
            },
        )
    })
}

/// A word in quotes, its patterns taken as they are.
fn quoted(word: &str) -> String {
    let word = word
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%");
    format!("\"{word}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::services;
    use crate::service::definition::DefinitionBody;

    #[test]
    fn parts_stand_for_the_procedure() {
        let take = |words: &[&str]| {
            let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let parts = take_parts("haproxy", &mut words, |word| word == "haproxy.old");
            (words.join(" "), parts.join(" "))
        };
        let of = |words: &str, parts: &str| (words.to_owned(), parts.to_owned());
        assert_eq!(take(&["haproxy.puppet"]), of("haproxy", "puppet"));
        assert_eq!(
            take(&["haproxy.a", "web", "haproxy.b"]),
            of("haproxy web", "a b")
        );
        assert_eq!(take(&["haproxy.a", "haproxy"]), of("haproxy", ""));
        assert_eq!(
            take(&["haproxy.old", "haproxy."]),
            of("haproxy.old haproxy.", "")
        );
    }

    #[test]
    fn instances_become_services_in_their_order() {
        let puppet = Instance {
            backend: Some("*_puppet_masters".to_owned()),
            ..example()
        };
        let text = yaml([("puppet", &puppet), ("a\"%b", &example())]);
        let mut names = |name: &str| Ok(vec![name.to_owned()]);
        let loaded = services::parse("embedded", &text, &mut names).unwrap();
        assert_eq!(loaded.warnings, []);
        let [group] = loaded.definitions.services.as_slice() else {
            panic!("one group");
        };
        let DefinitionBody::Members(members) = &group.body else {
            panic!("a group");
        };
        let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["puppet", "a\"%%b"]);
        assert!(services::parse("embedded", &yaml([]), &mut |_| Ok(Vec::new())).is_ok());
    }
}
