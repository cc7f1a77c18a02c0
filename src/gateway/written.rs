//! How values of ours that serde does not know are written.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::{ErrorCode, Failure, Outcome, Stop, Stream};

/// Bytes as text where they are text, else in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data(pub Bytes);

#[derive(Serialize, Deserialize)]
enum Written {
    #[serde(rename = "data")]
    Text(String),
    #[serde(rename = "data_b64")]
    Base64(String),
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => Written::Text(text.to_owned()),
            Err(_) => Written::Base64(BASE64.encode(&self.0)),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text.into())),
            Written::Base64(text) => BASE64
                .decode(text.as_bytes())
                .map(|bytes| Self(bytes.into()))
                .map_err(serde::de::Error::custom),
        }
    }
}

/// A [`Failure`] as it is written.
#[derive(Serialize, Deserialize)]
struct Fault {
    code: String,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code.as_str().to_owned(),
            message: failure.message,
            detail: failure.detail,
        }
    }
}

impl Fault {
    fn read<E: serde::de::Error>(self) -> Result<Failure, E> {
        let mut codes = ErrorCode::ALL.iter().copied();
        let known = codes.find(|known| known.as_str() == self.code);
        let code = known.ok_or_else(|| E::custom(format!("unknown code `{}`", self.code)))?;
        Ok(Failure {
            code,
            message: self.message,
            detail: self.detail,
        })
    }
}

/// How [`Failure`] is written.
pub(super) mod failure {
    use super::*;

    pub(in crate::gateway) fn serialize<S: Serializer>(
        failure: &Failure,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        Fault::from(failure.clone()).serialize(to)
    }

    pub(in crate::gateway) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Failure, D::Error> {
        Fault::deserialize(from)?.read()
    }
}

/// How [`Outcome`] is written.
pub(super) mod outcome {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Written {
        Exited(u8),
        Killed(String),
        Failed(Fault),
    }

    pub(in crate::gateway) fn serialize<S: Serializer>(
        outcome: &Outcome,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match outcome.clone() {
            Outcome::Exited { status } => Written::Exited(status),
            Outcome::Killed { signal } => Written::Killed(signal),
            Outcome::Failed(failure) => Written::Failed(failure.into()),
        }
        .serialize(to)
    }

    pub(in crate::gateway) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Outcome, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Exited(status) => Outcome::Exited { status },
            Written::Killed(signal) => Outcome::Killed { signal },
            Written::Failed(fault) => Outcome::Failed(fault.read()?),
        })
    }
}

/// Writes enums of ours that serde does not know by the names in a table.
macro_rules! by_name {
    ($module:ident: $type:ty { $($value:path = $name:literal),* }) => {
        pub(super) mod $module {
            use super::*;

            pub(in crate::gateway) fn serialize<S: Serializer>(value: &$type, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(match value { $($value => $name),* })
            }

            pub(in crate::gateway) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                let name = String::deserialize(from)?;
                match name.as_str() {
                    $($name => Ok($value),)*
                    _ => Err(serde::de::Error::unknown_variant(&name, &[$($name),*])),
                }
            }
        }
    };
}

by_name! { stream: Stream { Stream::Out = "stdout", Stream::Err = "stderr" } }
by_name! { level: Stop { Stop::No = "no", Stop::Drain = "drain", Stop::Terminate = "terminate", Stop::Kill = "kill" } }
