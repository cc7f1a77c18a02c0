//! A list of algorithms as configured: `a,b`, `+a`, `-a` or `^a`, with patterns (ssh_config(5), Ciphers).

use crate::transport::ssh::pattern;

/// What a keyword such as `Ciphers` says; [`AlgorithmList::apply`] turns it into names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlgorithmList {
    how: How,
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum How {
    /// Nothing configured: the defaults.
    #[default]
    Default,
    Replace,
    Append,
    Remove,
    Prepend,
}

impl AlgorithmList {
    /// Reads the argument of the keyword.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (how, names) = match text.split_at_checked(1) {
            Some(("+", rest)) => (How::Append, rest),
            Some(("-", rest)) => (How::Remove, rest),
            Some(("^", rest)) => (How::Prepend, rest),
            _ => (How::Replace, text),
        };
        let names = names.split(',').map(str::to_owned).collect();
        Self { how, names }
    }

    /// Whether nothing was configured.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.how == How::Default
    }

    /// Whether the user has chosen what comes first, so that we must not.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        matches!(self.how, How::Replace | How::Prepend)
    }

    /// The names to offer, most preferred first: out of `all` that we support, given our own `defaults`.
    ///
    /// What we do not support is left out, so a list can come out empty; then no server will do.
    #[must_use]
    pub fn apply(&self, defaults: &[&str], all: &[&str]) -> Vec<String> {
        let chosen = || {
            let supported = |pattern: &String| {
                let pattern = pattern.clone();
                all.iter()
                    .copied()
                    .filter(move |name| pattern::matches(name, &pattern))
            };
            self.names.iter().flat_map(supported)
        };
        let defaults = defaults.iter().copied();
        let names: Vec<&str> = match self.how {
            How::Default => defaults.collect(),
            How::Replace => chosen().collect(),
            How::Append => defaults.chain(chosen()).collect(),
            How::Prepend => chosen().chain(defaults).collect(),
            How::Remove => {
                let removed = self.names.join(",");
                defaults
                    .filter(|name| !pattern::matches_list(name, &removed))
                    .collect()
            }
        };
        let mut unique: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            if !unique.iter().any(|known| known == name) {
                unique.push(name.to_owned());
            }
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_say_where_the_names_go() {
        let apply = |text: &str| {
            AlgorithmList::parse(text)
                .apply(&["b", "c"], &["a", "b", "c", "cc"])
                .join(",")
        };
        assert_eq!(apply("a,zz"), "a");
        assert_eq!(apply("+a,c"), "b,c,a");
        assert_eq!(apply("^c*"), "c,cc,b");
        assert_eq!(apply("-b"), "c");
        assert_eq!(apply("c?,a"), "cc,a");
        assert_eq!(apply("zz"), "");
        assert_eq!(AlgorithmList::default().apply(&["b"], &["a", "b"]), ["b"]);
    }
}
