//! Sets from text and back, as the standard library and `serde` do it.

use std::str::FromStr;

use super::{EvalError, NoGroups, NodeSet, RangeError, RangeSet, eval_text};

/// Reads an expression that names no group: `n[1-5]!n3`. With groups, use [`eval_text`].
impl FromStr for NodeSet {
    type Err = EvalError;

    fn from_str(text: &str) -> Result<Self, EvalError> {
        eval_text(text, &NoGroups)
    }
}

/// As [`RangeSet::parse`].
impl FromStr for RangeSet {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        Self::parse(text)
    }
}

// The tests of this module run in every build.
#[cfg(any(test, feature = "serde"))]
mod serde_impls {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{NodeSet, RangeSet};

    /// Whether the text of a set is read as the same names: a name may have been added that is an expression itself.
    fn comes_back(text: &str, set: &NodeSet) -> bool {
        let same = |read: NodeSet| read.count() == set.count() && read.to_string() == text;
        text.parse().is_ok_and(same)
    }

    /// As the folded text. Fails for a set with a name that would be read as something else, such as `a,b`.
    impl Serialize for NodeSet {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let text = self.to_string();
            if !comes_back(&text, self) {
                return Err(S::Error::custom(format!(
                    "a name in the set has characters that mean something else in a node set: {text}"
                )));
            }
            serializer.serialize_str(&text)
        }
    }

    /// From an expression that names no group.
    impl<'de> Deserialize<'de> for NodeSet {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        }
    }

    /// As the folded text.
    impl Serialize for RangeSet {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    /// From text such as `1-5,07`.
    impl<'de> Deserialize<'de> for RangeSet {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_an_expression_without_groups() {
        let set: NodeSet = " n[1-5]!n3 ".parse().unwrap();
        assert_eq!(set.to_string(), "n[1-2,4-5]");
        assert!("".parse::<NodeSet>().unwrap().is_empty());
        for (text, message) in [
            ("@web", "Unknown group source: \"<default>\""),
            ("n*", "Unknown group source: \"<default>\""),
            ("n[1", "Parse error: missing bracket: \"n[1\""),
        ] {
            let error = text.parse::<NodeSet>().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert_eq!("3,1-2".parse::<RangeSet>().unwrap().to_string(), "1-3");
        assert!("3-1".parse::<RangeSet>().is_err());
    }

    #[test]
    fn serde_gives_back_the_same_names() {
        for text in [
            "",
            "n[1-3,007]",
            "a[1-2]b[1-2],x",
            "n[-3--1]",
            "n-1",
            "[::1]",
            "n%s",
        ] {
            let set: NodeSet = text.parse().unwrap();
            let json = serde_json::to_string(&set).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<NodeSet>(&json).unwrap(), set);
        }
        let ranges: RangeSet = serde_json::from_str("\"3,-2-1\"").unwrap();
        assert_eq!(serde_json::to_string(&ranges).unwrap(), "\"-2-1,3\"");
        assert!(serde_json::from_str::<NodeSet>("\"n[1\"").is_err());
        assert!(serde_json::from_str::<NodeSet>("1").is_err());
    }

    #[test]
    fn a_name_that_would_be_read_as_something_else_is_not_written() {
        for name in ["a,b", "a!b", "@web", "n*", "lb1..2", "n[1", " n1", "a b"] {
            let set: NodeSet = [name].into_iter().collect();
            let written = serde_json::to_string(&set);
            assert_eq!(written.is_ok(), name == "a b", "{name}");
        }
        // The same name in two ways: `n[-1]` and `n-1`.
        let set: NodeSet = "n[-1]".parse().unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), "\"n-1\"");
    }
}
