//! The keys of `config.toml` and of the environment.

use std::num::NonZeroUsize;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{parse_limit, parse_size};

/// A key that the environment can set too.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) variable: &'static str,
    pub(super) set: fn(&mut Values, &str) -> Result<(), String>,
}

macro_rules! values {
    ($($(#[$doc:meta])* $name:ident: $type:ty, $variable:literal, $parse:expr;)*) => {
        /// The values of `config.toml`.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Values {
            $($(#[$doc])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $name: Option<$type>,)*
            /// The load balancers: `[haproxy]`.
            #[serde(default, skip_serializing_if = "Haproxy::is_empty")]
            pub haproxy: Haproxy,
        }

        impl Values {
            /// Lays other values over these: what they set wins.
            pub(super) fn lay_over(&mut self, above: Self) {
                $(if above.$name.is_some() { self.$name = above.$name; })*
                self.haproxy.lay_over(above.haproxy);
            }
        }

        /// The keys that a variable can set.
        pub(super) static KEYS: &[Key] = &[$(Key {
            name: stringify!($name),
            variable: $variable,
            set: |values, text| {
                let parse: fn(&str) -> Result<$type, String> = $parse;
                values.$name = Some(parse(text)?);
                Ok(())
            },
        },)*];
    };
}

values! {
    /// The nodes when the command line names none.
    nodes: String, "HASH_NODES", text;
    /// More nodes than this are refused.
    max_nodes: NonZeroUsize, "HASH_MAX_NODES", number;
    /// The most nodes at work at one time.
    fanout: NonZeroUsize, "HASH_FANOUT", number;
    /// The form of the output: a name of `--output`.
    output: String, "HASH_OUTPUT", text;
    /// `auto`, `always` or `never`.
    color: Color, "HASH_COLOR", choice;
    /// The user to log in as.
    user: String, "HASH_USER", text;
    /// How nodes are reached: a name of `-R`.
    worker: String, "HASH_WORKER", text;
    /// A file that says which gateways lead to which nodes.
    topology: String, "HASH_TOPOLOGY", text;
    /// An ssh_config instead of the user's and the system's.
    ssh_config: String, "HASH_SSH_CONFIG", text;
    /// Options as for `ssh -o`.
    ssh_options: Vec<String>, "HASH_SSH_OPTIONS", words;
    /// Limit of connecting, the SSH handshake included.
    connect_timeout: Limit, "HASH_CONNECT_TIMEOUT", limit;
    /// Limit of authentication.
    auth_timeout: Limit, "HASH_AUTH_TIMEOUT", limit;
    /// Limit of one command.
    command_timeout: Limit, "HASH_COMMAND_TIMEOUT", limit;
    /// Longest silence of a command.
    idle_timeout: Limit, "HASH_IDLE_TIMEOUT", limit;
    /// Limit of the whole run.
    deadline: Limit, "HASH_DEADLINE", limit;
    /// On more nodes than this, `run` and `copy` want their number typed first.
    confirm_above: usize, "HASH_CONFIRM_ABOVE", count;
    /// The most of all nodes' output that is kept to be gathered, beyond memory in a file in $TMPDIR; a node that says more
    /// ends with E_OUTPUT.
    spool_max: Size, "HASH_SPOOL_MAX", size;
    /// Whether changes are written to the audit log.
    audit: Audit, "HASH_AUDIT", choice;
    /// Whether changes are written to syslog too.
    audit_syslog: bool, "HASH_AUDIT_SYSLOG", choice;
    /// The audit log's file.
    audit_file: String, "HASH_AUDIT_FILE", text;
}

impl Values {
    /// The built-in values.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            max_nodes: NonZeroUsize::new(1_000_000),
            fanout: NonZeroUsize::new(64),
            output: Some("text".to_owned()),
            color: Some(Color::Auto),
            worker: Some("native".to_owned()),
            connect_timeout: Some(Limit(Duration::from_secs(10))),
            auth_timeout: Some(Limit(Duration::from_secs(30))),
            spool_max: Some(Size::default()),
            audit: Some(Audit::On),
            haproxy: Haproxy {
                sockets: USUAL_SOCKETS.map(str::to_owned).to_vec(),
                master: Vec::new(),
                via: Some("auto".to_owned()),
                instances: Instances::new(),
            },
            ..Self::default()
        }
    }
}

/// Where HAProxy's packages put the stats socket.
const USUAL_SOCKETS: [&str; 4] = [
    "/run/haproxy/admin.sock",
    "/run/haproxy.sock",
    "/var/run/haproxy.sock",
    "/var/lib/haproxy/stats",
];

fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn words(text: &str) -> Result<Vec<String>, String> {
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn number(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a number above 0"))
}

fn count(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a number of nodes"))
}

fn limit(text: &str) -> Result<Limit, String> {
    parse_limit(text).map(Limit)
}

fn size(text: &str) -> Result<Size, String> {
    parse_size(text).map(Size)
}

/// A value out of a fixed list, by the names that the file uses.
fn choice<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, String> {
    let quoted = toml::Value::String(text.to_owned());
    T::deserialize(quoted)
        .or_else(|error| match text {
            "true" | "yes" | "1" => T::deserialize(toml::Value::Boolean(true)),
            "false" | "no" | "0" => T::deserialize(toml::Value::Boolean(false)),
            _ => Err(error),
        })
        .map_err(|error| error.message().trim().replace('\n', "; "))
}

/// A time limit; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Duration);

impl Limit {
    /// The limit, or `None` for 0.
    #[must_use]
    pub fn get(self) -> Option<Duration> {
        Some(self.0).filter(|limit| !limit.is_zero())
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&humantime::format_duration(self.0).to_string())
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a time: seconds or something like \"10s\"")]
        enum Written {
            Whole(u32),
            Broken(f64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Whole(seconds) => seconds.to_string(),
            Written::Broken(seconds) => seconds.to_string(),
            Written::Text(text) => text,
        };
        parse_limit(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl Default for Size {
    /// What may be kept of the output of a run.
    fn default() -> Self {
        Self(1 << 30)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut number, mut units) = (self.0, "KMGT".chars());
        let mut unit = None;
        while number > 0
            && number.is_multiple_of(1024)
            && let Some(next) = units.next()
        {
            number /= 1024;
            unit = Some(next);
        }
        let unit = unit.map(String::from).unwrap_or_default();
        serializer.serialize_str(&format!("{number}{unit}"))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a size: bytes or something like \"512M\"")]
        enum Written {
            Bytes(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Bytes(bytes) => Ok(Self(bytes)),
            Written::Text(text) => parse_size(&text)
                .map(Self)
                .map_err(serde::de::Error::custom),
        }
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$variant_doc])* $variant),* }
    )*};
}

choices! {
    /// When to colour.
    Color {
        /// On a terminal, unless the environment says otherwise.
        Auto,
        /// Always.
        Always,
        /// Never.
        Never,
    }
    /// Whether changes are written down.
    Audit {
        /// Written if it can be.
        On,
        /// Not written.
        Off,
        /// No change without it.
        Required,
    }
}

/// `[haproxy]`: where the stats sockets are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Haproxy {
    /// The stats sockets on each node, for verbs that name none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<String>,
    /// The sockets of the masters on each node, which know of workers from before a reload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub master: Vec<String>,
    /// How a socket is reached: `auto`, `streamlocal`, `socat`, `nc` or `command:...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Several HAProxy on one node: `[haproxy.instances.NAME]`, in the file's order.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub instances: Instances,
}

/// The instances by name, in the file's order.
pub type Instances = IndexMap<String, Instance>;

/// One HAProxy of several on a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The nodes that have it; the run's nodes if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<String>,
    /// Its stats socket.
    pub socket: String,
    /// The socket of its master.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// Only the backends that match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
}

impl Haproxy {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn lay_over(&mut self, above: Self) {
        if !above.sockets.is_empty() {
            self.sockets = above.sockets;
        }
        if !above.master.is_empty() {
            self.master = above.master;
        }
        if above.via.is_some() {
            self.via = above.via;
        }
        if !above.instances.is_empty() {
            self.instances = above.instances;
        }
    }
}
