//! One `known_hosts` file, read once (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::ssh_encoding::base64::{Base64, Encoding as _};
use sha1::Sha1;

use crate::transport::ssh::pattern;

/// The length of SHA-1's digest.
const DIGEST: usize = 20;

/// A line of a file, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The file.
    pub file: Arc<Path>,
    /// Its line, from 1.
    pub number: u32,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.number)
    }
}

/// What a key is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A host's own.
    Host,
    /// Signs the keys of hosts.
    Authority,
    /// Nobody may use it.
    Revoked,
}

/// One line.
#[derive(Debug)]
pub(super) struct Entry {
    number: u32,
    hosts: Hosts,
    pub(super) purpose: Purpose,
    /// The key as it is on the wire; comparing needs no more.
    pub(super) key: Box<[u8]>,
}

#[derive(Debug)]
enum Hosts {
    /// Names and patterns separated by commas, in lower case.
    List(Box<str>),
    /// HMAC-SHA1 of the name under a salt.
    Hashed {
        salt: Box<[u8]>,
        digest: [u8; DIGEST],
    },
}

/// A file's lines, found by name.
#[derive(Debug)]
pub(super) struct File {
    path: Arc<Path>,
    entries: Vec<Entry>,
    /// Lines whose names are no patterns, by name.
    exact: HashMap<Box<str>, Vec<usize>>,
    patterns: Vec<usize>,
    hashed: Vec<usize>,
}

impl File {
    /// Reads a file; one that is not there, or that we may not read, knows nobody, as with `ssh`.
    pub(super) fn read(path: &Path) -> Self {
        Self::parse(path, &std::fs::read(path).unwrap_or_default())
    }

    /// Reads the text of a file. Lines that make no sense are passed over, as with `ssh`.
    pub(super) fn parse(path: &Path, text: &[u8]) -> Self {
        let mut file = Self {
            path: path.into(),
            entries: Vec::new(),
            exact: HashMap::new(),
            patterns: Vec::new(),
            hashed: Vec::new(),
        };
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let Some(entry) = std::str::from_utf8(line)
                .ok()
                .and_then(|line| Entry::parse(number, line))
            else {
                continue;
            };
            let at = file.entries.len();
            match &entry.hosts {
                Hosts::Hashed { .. } => file.hashed.push(at),
                Hosts::List(list) if list.contains(['*', '?', '!']) => file.patterns.push(at),
                Hosts::List(list) => {
                    for name in list.split(',') {
                        file.exact.entry(name.into()).or_default().push(at);
                    }
                }
            }
            file.entries.push(entry);
        }
        file
    }

    /// The lines that name a host openly.
    pub(super) fn plain<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        let exact = self.exact.get(name).into_iter().flatten();
        let patterns = self.patterns.iter().filter(move |&&at| {
            matches!(&self.entries[at].hosts, Hosts::List(list) if pattern::matches_list(name, list))
        });
        exact.chain(patterns).map(|&at| &self.entries[at])
    }

    /// The lines that hide a host's name: one HMAC for each such line of the file.
    pub(super) fn hashed<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        let entries = self.hashed.iter().map(|&at| &self.entries[at]);
        entries.filter(move |entry| entry.hides(name))
    }

    /// As [`File::hashed`], those of one purpose only. There are few that revoke or certify, so this is cheap.
    pub(super) fn hashed_for<'a>(
        &'a self,
        purpose: Purpose,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Entry> {
        let entries = self.hashed.iter().map(|&at| &self.entries[at]);
        entries.filter(move |entry| entry.purpose == purpose && entry.hides(name))
    }

    /// Where an entry stands.
    pub(super) fn line(&self, entry: &Entry) -> Line {
        Line {
            file: Arc::clone(&self.path),
            number: entry.number,
        }
    }
}

impl Entry {
    /// Reads one line; `None` for comments and what makes no sense.
    fn parse(number: u32, line: &str) -> Option<Self> {
        let mut fields = line
            .split([' ', '\t', '\r'])
            .filter(|field| !field.is_empty());
        let mut hosts = fields.next()?;
        let purpose = match hosts {
            "@cert-authority" => Purpose::Authority,
            "@revoked" => Purpose::Revoked,
            _ if hosts.starts_with(['@', '#']) => return None,
            _ => Purpose::Host,
        };
        if purpose != Purpose::Host {
            hosts = fields.next()?;
        }
        let key = parse_key(fields.next()?, fields.next()?)?;
        let hosts = match hosts.strip_prefix("|1|") {
            Some(hidden) => {
                let (salt, digest) = hidden.split_once('|')?;
                Hosts::Hashed {
                    salt: Base64::decode_vec(salt).ok()?.into(),
                    digest: Base64::decode_vec(digest).ok()?.try_into().ok()?,
                }
            }
            None if hosts.starts_with('|') => return None,
            None => Hosts::List(hosts.to_ascii_lowercase().into()),
        };
        Some(Self {
            number,
            hosts,
            purpose,
            key,
        })
    }

    fn hides(&self, name: &str) -> bool {
        match &self.hosts {
            Hosts::Hashed { salt, digest } => hash(salt, name) == Some(*digest),
            Hosts::List(_) => false,
        }
    }

    /// The name of the key's algorithm.
    pub(super) fn algorithm(&self) -> &str {
        algorithm_of(&self.key).unwrap_or_default()
    }
}

/// Reads a key's two fields; the first must name what the second holds.
pub(super) fn parse_key(algorithm: &str, base64: &str) -> Option<Box<[u8]>> {
    let key = Base64::decode_vec(base64).ok()?;
    (algorithm_of(&key)? == algorithm).then(|| key.into())
}

/// The first field of a key on the wire: a length and the name of the algorithm (RFC 4253, 6.6).
fn algorithm_of(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    let name = rest.get(..u32::from_be_bytes(*length) as usize)?;
    std::str::from_utf8(name).ok()
}

fn hash(salt: &[u8], name: &str) -> Option<[u8; DIGEST]> {
    let mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    Some(mac.chain_update(name).finalize().into_bytes().into())
}

/// A name as `HashKnownHosts` writes it, under a fresh salt.
pub(super) fn hash_name(name: &str) -> std::io::Result<String> {
    let mut salt = [0; DIGEST];
    rustix::rand::getrandom(&mut salt, rustix::rand::GetRandomFlags::empty())?;
    let digest = hash(&salt, name).unwrap_or_default();
    let encode = Base64::encode_string;
    Ok(format!("|1|{}|{}", encode(&salt), encode(&digest)))
}
