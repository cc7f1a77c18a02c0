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

/// The instance that is shown when the configuration has none, and that the lab has.
pub(super) fn example() -> Instance {
    Instance {
        nodes: Some("lb[1-2]".to_owned()),
        socket: "/run/haproxy/admin.sock".to_owned(),
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
