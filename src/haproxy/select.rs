//! Selectors: `[BACKEND/]SERVER`, each half a node set with `*` and `?`, matched against what a node really has.

use std::collections::BTreeSet;

use super::name::{ServerName, is_name_byte};
use super::state::Server;
use crate::nodeset::{self, Expr, GroupError, Groups, NoGroups, NodeSet};

/// Which servers are meant.
#[derive(Debug, Clone)]
pub struct Selector {
    text: String,
    backend: Option<Expr>,
    server: Expr,
}

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad server `{text}`: {reason}")]
pub struct SelectorError {
    text: String,
    reason: String,
}

/// What of a node's servers some selectors mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Positions in the node's own list, in its order.
    pub chosen: Vec<usize>,
    /// Which selectors met nothing, by their position.
    pub unmatched: Vec<usize>,
}

impl Selector {
    /// Reads `[BACKEND/]SERVER`.
    ///
    /// # Errors
    /// When it could not mean any server, whatever a node has.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let wrong = |reason: String| SelectorError {
            text: text.escape_debug().to_string(),
            reason,
        };
        let (backend, server) = match slash(text) {
            Some(at) => (Some(&text[..at]), &text[at + 1..]),
            None => (None, text),
        };
        let half = |half: &str, what: &str| {
            if half.is_empty() {
                return Err(wrong(format!("the {what} is empty")));
            }
            if let Some(letter) = half.chars().find(|letter| !is_pattern(*letter)) {
                return Err(wrong(format!(
                    "{letter:?} is in no name of HAProxy, only letters, digits, `-`, `_`, `.` and `:`"
                )));
            }
            if slash(half).is_some() {
                return Err(wrong(
                    "expected [BACKEND/]SERVER, with one slash at most".to_owned(),
                ));
            }
            let expression = nodeset::parse(half).map_err(|error| wrong(error.to_string()))?;
            // What cannot be evaluated against nothing cannot be against anything.
            evaluate(&expression, &BTreeSet::new()).map_err(wrong)?;
            Ok(expression)
        };
        Ok(Self {
            backend: backend.map(|text| half(text, "backend")).transpose()?,
            server: half(server, "server")?,
            text: text.to_owned(),
        })
    }

    /// As it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The slash between backend and server; one in brackets is a step.
fn slash(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        byte == b'/' && depth == 0
    })
}

fn is_pattern(letter: char) -> bool {
    u8::try_from(letter).is_ok_and(is_name_byte)
        || matches!(letter, '[' | ']' | ',' | '*' | '?' | '!' | '&' | '^' | '/')
}

/// The names a node has, as the nodes that wildcards are matched against.
struct Known(String);

impl Groups for Known {
    fn map(&self, source: Option<&str>, group: &str) -> Result<String, GroupError> {
        NoGroups.map(source, group)
    }

    fn all(&self, _source: Option<&str>) -> Result<Option<String>, GroupError> {
        Ok(Some(self.0.clone()))
    }

    fn list(&self, _source: Option<&str>) -> Result<Vec<String>, GroupError> {
        Ok(Vec::new())
    }

    fn reverse(
        &self,
        _source: Option<&str>,
        _node: &str,
    ) -> Result<Option<Vec<String>>, GroupError> {
        Ok(None)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        Ok(vec!["servers".to_owned()])
    }
}

fn evaluate(expression: &Expr, names: &BTreeSet<&str>) -> Result<NodeSet, String> {
    let names: Vec<&str> = names.iter().copied().collect();
    nodeset::eval(expression, &Known(names.join(" "))).map_err(|error| error.to_string())
}

/// The servers that the selectors mean, of those a node has. Without a selector: all of them.
///
/// # Errors
/// When a selector cannot be evaluated.
pub fn select(selectors: &[Selector], servers: &[Server]) -> Result<Selection, SelectorError> {
    let names: Vec<&ServerName> = servers.iter().map(|server| &server.name).collect();
    select_names(selectors, &names)
}

/// The names that the selectors mean, of those there are. Without a selector: all of them.
///
/// # Errors
/// When a selector cannot be evaluated.
pub fn select_names(
    selectors: &[Selector],
    servers: &[&ServerName],
) -> Result<Selection, SelectorError> {
    if selectors.is_empty() {
        return Ok(Selection {
            chosen: (0..servers.len()).collect(),
            unmatched: Vec::new(),
        });
    }
    let backends: BTreeSet<&str> = servers.iter().map(|name| name.backend()).collect();
    let names: BTreeSet<&str> = servers.iter().map(|name| name.server()).collect();
    let mut chosen = BTreeSet::new();
    let mut unmatched = Vec::new();
    for (number, selector) in selectors.iter().enumerate() {
        let wrong = |reason| SelectorError {
            text: selector.text.clone(),
            reason,
        };
        let backend = selector
            .backend
            .as_ref()
            .map(|expression| evaluate(expression, &backends).map_err(wrong))
            .transpose()?;
        let server = evaluate(&selector.server, &names).map_err(wrong)?;
        let mut met = false;
        for (place, known) in servers.iter().enumerate() {
            if server.contains(known.server())
                && backend
                    .as_ref()
                    .is_none_or(|backend| backend.contains(known.backend()))
            {
                met = true;
                chosen.insert(place);
            }
        }
        if !met {
            unmatched.push(number);
        }
    }
    Ok(Selection {
        chosen: chosen.into_iter().collect(),
        unmatched,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::haproxy::answer;

    fn servers() -> Vec<Server> {
        answer::servers(include_bytes!(
            "../../tests/recorded/haproxy/servers-state.txt"
        ))
        .unwrap()
    }

    fn chosen(texts: &[&str]) -> (Vec<String>, Vec<usize>) {
        let servers = servers();
        let selectors: Vec<Selector> = texts
            .iter()
            .map(|text| Selector::parse(text).unwrap())
            .collect();
        let selection = select(&selectors, &servers).unwrap();
        let names = selection
            .chosen
            .iter()
            .map(|place| servers[*place].name.to_string());
        (names.collect(), selection.unmatched)
    }

    #[test]
    fn a_server_is_meant_in_every_backend_that_has_it() {
        let (names, unmatched) = chosen(&["puppet-i0-svc1"]);
        assert_eq!(
            names,
            [
                "all_puppet_masters/puppet-i0-svc1",
                "i0_puppet_masters/puppet-i0-svc1",
                "i10_puppet_masters/puppet-i0-svc1",
                "i20_puppet_masters/puppet-i0-svc1",
                "i24_puppet_masters/puppet-i0-svc1",
                "i28_puppet_masters/puppet-i0-svc1",
            ]
        );
        assert!(unmatched.is_empty());
    }

    #[test]
    fn halves_are_node_sets_with_wildcards() {
        assert_eq!(chosen(&["i0_*/puppet-i0-svc[1-2]"]).0.len(), 2);
        assert_eq!(
            chosen(&["i*_puppet_masters/puppet-i[0,10]-svc1"]).0.len(),
            6
        );
        assert_eq!(
            chosen(&["ldap/ldap-svc?"]).0,
            ["ldap/ldap-svc1", "ldap/ldap-svc2"]
        );
        assert_eq!(chosen(&["ldap/*!ldap-svc1"]).0, ["ldap/ldap-svc2"]);
        assert_eq!(chosen(&["ldap/ldap-svc[1-9/2]"]).0, ["ldap/ldap-svc1"]);
        assert_eq!(chosen(&["ldap,http/*"]).0.len(), 4);
        assert_eq!(chosen(&[]).0.len(), 36);
    }

    #[test]
    fn order_is_that_of_haproxy_and_nothing_comes_twice() {
        assert_eq!(
            chosen(&["http/http-svc1", "ldap/*", "ldap/ldap-svc1"]).0,
            ["ldap/ldap-svc1", "ldap/ldap-svc2", "http/http-svc1"]
        );
    }

    #[test]
    fn what_meets_nothing_is_named() {
        assert_eq!(chosen(&["ldap-svc1", "nobody", "ldap/http-svc1"]).1, [1, 2]);
    }

    #[test]
    fn injection_is_refused_before_anything_is_sent() {
        for text in [
            "a;b",
            "a\nb",
            "a b",
            "a/b;disable server x/y",
            "@all",
            "a\\b",
            "",
            "/",
            "a/",
            "/b",
            "é",
            "a/b<<",
            "a/b/c",
        ] {
            assert!(Selector::parse(text).is_err(), "{text:?}");
        }
        let error = Selector::parse("a;b").unwrap_err().to_string();
        assert_eq!(
            error,
            "bad server `a;b`: ';' is in no name of HAProxy, only letters, digits, `-`, `_`, `.` and `:`"
        );
        assert!(Selector::parse("web[1-").is_err());
    }

    proptest! {
        #[test]
        fn no_text_can_hurt(text in "\\PC{0,24}") {
            if let Ok(selector) = Selector::parse(&text) {
                let _ = select(&[selector], &servers());
            }
        }
    }
}
