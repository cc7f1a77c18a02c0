//! A validator for what `schema/hash-1.json` uses of JSON Schema (draft 2020-12). What it does not know is an error, so that
//! nothing in the schema is ignored.

use regex::Regex;
use serde_json::{Map, Value};

/// Keywords that only explain.
const WORDS: [&str; 5] = ["$schema", "$id", "$defs", "title", "description"];

/// A schema that documents are held to.
#[derive(Debug)]
pub(crate) struct Schema(Value);

impl Schema {
    /// Reads a schema.
    pub(crate) fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).expect("the schema is JSON"))
    }

    /// What is wrong with a value under a definition, each with its place; nothing if it is valid.
    pub(crate) fn wrong(&self, definition: &str, value: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let schema = self.definition(&format!("#/$defs/{definition}"));
        self.check(schema, value, "", &mut wrong);
        wrong
    }

    fn definition(&self, reference: &str) -> &Value {
        let pointer = reference.strip_prefix('#').expect("a reference within");
        let found = self.0.pointer(pointer);
        found.unwrap_or_else(|| panic!("no {reference}"))
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        let keywords = schema.as_object().expect("a schema is an object");
        for (keyword, wanted) in keywords {
            let mut fault = |what: String| wrong.push(format!("{at}: {what}"));
            match keyword.as_str() {
                word if WORDS.contains(&word) => {}
                "$ref" => {
                    let reference = wanted.as_str().expect("a reference is text");
                    self.check(self.definition(reference), value, at, wrong);
                }
                "type" => {
                    let is = |name: &Value| has_type(value, name.as_str().expect("a type is text"));
                    let fits = wanted
                        .as_array()
                        .map_or_else(|| is(wanted), |names| names.iter().any(is));
                    if !fits {
                        fault(format!("{value} is not of type {wanted}"));
                    }
                }
                "const" if wanted != value => fault(format!("{value} is not {wanted}")),
                "enum" if !list(wanted).contains(value) => {
                    fault(format!("{value} is none of {wanted}"));
                }
                "const" | "enum" => {}
                "oneOf" => {
                    let fits = |one: &&Value| {
                        let mut wrong = Vec::new();
                        self.check(one, value, at, &mut wrong);
                        wrong.is_empty()
                    };
                    let count = list(wanted).iter().filter(fits).count();
                    if count != 1 {
                        fault(format!("{value} fits {count} of {}", list(wanted).len()));
                    }
                }
                "allOf" => {
                    for one in list(wanted) {
                        self.check(one, value, at, wrong);
                    }
                }
                other => match (kind(other), value) {
                    ("object", Value::Object(fields)) => {
                        self.check_object((keyword, wanted, keywords), fields, at, wrong);
                    }
                    ("list", Value::Array(items)) => {
                        for (number, item) in items.iter().enumerate() {
                            self.check(wanted, item, &format!("{at}/{number}"), wrong);
                        }
                    }
                    ("text", Value::String(text)) => {
                        if let Some(what) = check_text(keyword, wanted, text) {
                            fault(what);
                        }
                    }
                    ("number", Value::Number(number)) => {
                        let (number, limit) = (number.as_f64(), wanted.as_f64());
                        let fits = match other {
                            "minimum" => number >= limit,
                            _ => number <= limit,
                        };
                        if !fits {
                            fault(format!("{value} is beyond the {keyword} {wanted}"));
                        }
                    }
                    // A keyword says nothing about values of other kinds.
                    _ => {}
                },
            }
        }
    }

    fn check_object(
        &self,
        (keyword, wanted, schema): (&str, &Value, &Map<String, Value>),
        fields: &Map<String, Value>,
        at: &str,
        wrong: &mut Vec<String>,
    ) {
        let known = |name: &String| {
            let properties = schema.get("properties").and_then(Value::as_object);
            properties.is_some_and(|properties| properties.contains_key(name))
        };
        let others = || fields.iter().filter(|(name, _)| !known(name));
        match keyword {
            "required" => {
                for name in list(wanted).iter().filter_map(Value::as_str) {
                    if !fields.contains_key(name) {
                        wrong.push(format!("{at}: `{name}` is missing"));
                    }
                }
            }
            "properties" => {
                for (name, schema) in wanted.as_object().expect("properties are an object") {
                    if let Some(value) = fields.get(name) {
                        self.check(schema, value, &format!("{at}/{name}"), wrong);
                    }
                }
            }
            "additionalProperties" if *wanted == Value::Bool(false) => {
                wrong.extend(
                    others().map(|(name, _)| format!("{at}: `{name}` is not in the schema")),
                );
            }
            "additionalProperties" => {
                for (name, value) in others() {
                    self.check(wanted, value, &format!("{at}/{name}"), wrong);
                }
            }
            "propertyNames" => {
                for name in fields.keys() {
                    self.check(
                        wanted,
                        &name.as_str().into(),
                        &format!("{at}/{name}"),
                        wrong,
                    );
                }
            }
            other => panic!("`{other}` is not about objects"),
        }
    }
}

/// What kind of value a keyword is about.
fn kind(keyword: &str) -> &'static str {
    match keyword {
        "required" | "properties" | "additionalProperties" | "propertyNames" => "object",
        "items" => "list",
        "pattern" | "minLength" => "text",
        "minimum" | "maximum" => "number",
        other => panic!("the keyword `{other}` is not known here"),
    }
}

fn check_text(keyword: &str, wanted: &Value, text: &str) -> Option<String> {
    match keyword {
        "pattern" => {
            let pattern =
                Regex::new(wanted.as_str().expect("a pattern is text")).expect("a pattern");
            (!pattern.is_match(text)).then(|| format!("`{text}` does not match {wanted}"))
        }
        "minLength" => {
            let is_short = (text.chars().count() as u64) < wanted.as_u64().expect("a length");
            is_short.then(|| format!("`{text}` is too short"))
        }
        other => panic!("`{other}` is not about text"),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("no type {other}"),
    }
}
