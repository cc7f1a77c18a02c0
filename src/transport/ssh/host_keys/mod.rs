//! Whether a server's key is the host's: our own `known_hosts`, read once for the whole run.
//!
//! Follows sshd(8) and what `ssh` does; `tests/it/known_hosts.rs` compares the two. Stricter on purpose: a key that
//! is revoked for a host is revoked on each of its ports; a changed or revoked key is refused under every policy; a
//! bad certificate is never taken for a new key.

mod certificate;
mod file;
mod record;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use file::{Entry, File, Purpose};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};

use crate::event::{ErrorCode, Failure};

use super::user_config::{AlgorithmList, HostKeyPolicy, HostKeySettings};
pub use file::Line;
pub use record::RecordError;
use record::{Record, Recorded};

/// All files of a run, each read when a host first needs it.
#[derive(Debug, Default)]
pub struct KnownHosts {
    files: Mutex<HashMap<PathBuf, Arc<File>>>,
    recorded: Arc<Recorded>,
}

impl KnownHosts {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is known about a host. Reads files on first use: a local file, but call it off the event loop for a
    /// `known_hosts` on a slow disk.
    #[must_use]
    pub fn host(&self, settings: &HostKeySettings, host: &str, port: u16) -> HostKeys {
        let host = host.to_ascii_lowercase();
        let (name, bare) = match &settings.alias {
            Some(alias) => (alias.to_ascii_lowercase(), None),
            None if port == 22 => (host.clone(), None),
            None => (format!("[{host}]:{port}"), Some(host.clone())),
        };
        let paths = settings.user_files.iter().chain(&settings.global_files);
        HostKeys {
            principal: settings.alias.clone().unwrap_or(host),
            name,
            bare,
            files: paths.map(|path| self.file(path)).collect(),
            revoked: settings.revoked_file.as_deref().map(read_revoked),
            authority_algorithms: settings.ca_algorithms.clone(),
            target: settings.user_files.first().cloned(),
            hash_names: settings.hash_names,
            recorded: Arc::clone(&self.recorded),
        }
    }

    /// Takes a text for a file's, which is then not read.
    pub fn insert(&self, path: &Path, text: &[u8]) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(path.to_owned(), Arc::new(File::parse(path, text)));
    }

    fn file(&self, path: &Path) -> Arc<File> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = files
            .entry(path.to_owned())
            .or_insert_with(|| Arc::new(File::read(path)));
        Arc::clone(file)
    }
}

/// The keys of a `RevokedHostKeys` file with their lines, or why it cannot be used.
type RevokedKeys = Result<Vec<(Line, Box<[u8]>)>, String>;

fn read_revoked(path: &Path) -> RevokedKeys {
    let refuse = |why: &str| format!("cannot use RevokedHostKeys {}: {why}", path.display());
    let bytes = std::fs::read(path).map_err(|error| refuse(&error.to_string()))?;
    if bytes.starts_with(b"SSHKRL\n") {
        return Err(refuse(
            "a binary list (KRL) is not supported here; list the keys as text, or leave it to the system's ssh",
        ));
    }
    let file: Arc<Path> = path.into();
    let text = String::from_utf8_lossy(&bytes);
    let keys = (1..).zip(text.lines()).filter_map(|(number, line)| {
        let mut fields = line.split_whitespace();
        let key = file::parse_key(fields.next()?, fields.next()?)?;
        let file = Arc::clone(&file);
        Some((Line { file, number }, key))
    });
    Ok(keys.collect())
}

/// What is known about one host.
#[derive(Debug)]
pub struct HostKeys {
    /// The name its keys are filed under: `host`, `[host]:port` or its alias.
    name: String,
    /// The name without its port, where a key may be filed as well.
    bare: Option<String>,
    /// The name a certificate must be for.
    principal: String,
    files: Vec<Arc<File>>,
    revoked: Option<RevokedKeys>,
    authority_algorithms: AlgorithmList,
    /// Where new keys go.
    target: Option<PathBuf>,
    hash_names: bool,
    recorded: Arc<Recorded>,
}

/// What a key turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The host's.
    Known,
    /// Nothing is known about the host.
    Unknown,
    /// The host has another key.
    Changed(Line),
    /// Nobody may use it.
    Revoked(Line),
    /// A certificate of an authority that we believe, but not good: the reason.
    BadCertificate(String),
    /// The list of revoked keys cannot be used: the reason.
    NoRevocations(String),
}

/// What to do about a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Accept,
    /// [`HostKeys::record`] the key and go on.
    Record,
    /// As `Record`, and warn once per run that nobody checks new keys.
    RecordAndWarn,
    /// Ask on a terminal and record the key on a yes; refuse without a terminal.
    Ask,
    /// Refuse, whatever the user may say; [`HostKeys::explain`] has the words.
    Refuse,
}

impl Verdict {
    /// What the user's policy makes of it. A changed or revoked key is refused under every policy.
    #[must_use]
    pub fn decide(&self, policy: HostKeyPolicy) -> Decision {
        match (self, policy) {
            (Self::Known, _) => Decision::Accept,
            (Self::Unknown, HostKeyPolicy::AcceptNew) => Decision::Record,
            (Self::Unknown, HostKeyPolicy::Off) => Decision::RecordAndWarn,
            (Self::Unknown, HostKeyPolicy::Ask) => Decision::Ask,
            (
                Self::Unknown
                | Self::Changed(_)
                | Self::Revoked(_)
                | Self::BadCertificate(_)
                | Self::NoRevocations(_),
                _,
            ) => Decision::Refuse,
        }
    }
}

/// An entry that names the host, with its file.
type Found<'a> = (&'a File, &'a Entry);

/// The entries under the two names of a host.
#[derive(Default)]
struct Entries<'a> {
    name: Vec<Found<'a>>,
    bare: Vec<Found<'a>>,
}

impl<'a> Entries<'a> {
    fn all(&self) -> impl Iterator<Item = &Found<'a>> {
        self.name.iter().chain(&self.bare)
    }
}

impl HostKeys {
    /// The name the host's keys are filed under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts algorithms of keys that are known for this host in front; else a host that is known by an RSA key would
    /// look changed when it has a newer key, too. Not for a list that the user ordered
    /// ([`AlgorithmList::is_ordered`]).
    pub fn prefer(&self, algorithms: &mut [Algorithm]) {
        let mut known: Vec<String> = Vec::new();
        let entries = self.plain();
        let hidden = if entries.all().next().is_none() {
            self.hashed()
        } else {
            Entries::default()
        };
        for (_, entry) in entries.all().chain(hidden.all()) {
            if entry.purpose == Purpose::Host {
                known.push(entry.algorithm().to_owned());
            }
        }
        algorithms.sort_by_key(|algorithm| {
            let filed_as = if algorithm.clone().is_rsa() {
                "ssh-rsa"
            } else {
                algorithm.as_str()
            };
            !known.iter().any(|name| name == filed_as)
        });
    }

    /// Algorithms whose host certificates to ask for: none unless an authority is believed for this host.
    #[must_use]
    pub fn certificates(&self) -> &'static [Algorithm] {
        let is_authority = |(_, entry): &Found<'_>| entry.purpose == Purpose::Authority;
        let hidden =
            || self.collect(|file, name| file.hashed_for(Purpose::Authority, name).collect());
        if self.plain().all().any(is_authority) || hidden().all().next().is_some() {
            certificate::CERTIFIED
        } else {
            &[]
        }
    }

    /// Judges what the server has shown.
    #[must_use]
    pub fn judge(&self, shown: &PublicKeyOrCertificate, now: SystemTime) -> Verdict {
        let Shown { key, authority } = Shown::new(shown);
        let uses = |other: &[u8]| *other == *key || authority.as_deref() == Some(other);
        match &self.revoked {
            Some(Err(why)) => return Verdict::NoRevocations(why.clone()),
            Some(Ok(keys)) => {
                if let Some((line, _)) = keys.iter().find(|(_, revoked)| uses(revoked)) {
                    return Verdict::Revoked(line.clone());
                }
            }
            None => {}
        }
        // Hashed names cost an HMAC a line, so they come second, except revoked ones, which nothing may hide.
        let plain = self.plain();
        let hidden = self.collect(|file, name| file.hashed_for(Purpose::Revoked, name).collect());
        let revoked = plain
            .all()
            .chain(hidden.all())
            .find(|(_, entry)| entry.purpose == Purpose::Revoked && uses(&entry.key));
        if let Some((file, entry)) = revoked {
            return Verdict::Revoked(file.line(entry));
        }
        let judge = |entries: &[Found<'_>]| match (shown.certificate(), &authority) {
            (Some(certificate), Some(authority))
                if entries.iter().any(|(_, entry)| {
                    entry.purpose == Purpose::Authority && *entry.key == **authority
                }) =>
            {
                let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let accepted = &self.authority_algorithms;
                match certificate::check(certificate, &self.principal, now, accepted) {
                    Ok(()) => Verdict::Known,
                    // As `ssh`: the key itself may still be known.
                    Err(why) => Some(judge_key(entries, &key))
                        .filter(|verdict| *verdict != Verdict::Unknown)
                        .unwrap_or(Verdict::BadCertificate(why)),
                }
            }
            _ => judge_key(entries, &key),
        };
        if judge(&plain.name) == Verdict::Known {
            return Verdict::Known;
        }
        let mut entries = self.hashed();
        entries.name.splice(..0, plain.name);
        entries.bare.splice(..0, plain.bare);
        let verdict = judge(&entries.name);
        if matches!(verdict, Verdict::Known | Verdict::Changed(_)) {
            return verdict;
        }
        // Under the name without the port a key can only be known; another one there is another server's.
        if judge(&entries.bare) == Verdict::Known || self.records().has(&key) {
            return Verdict::Known;
        }
        verdict
    }

    /// Records a key that was [`Verdict::Unknown`]. Without a file to write to (`UserKnownHostsFile none`) it is only
    /// remembered for this run.
    ///
    /// # Errors
    /// When the file cannot be written; nothing may then be sent to the host.
    pub fn record(&self, key: &PublicKey) -> Result<(), RecordError> {
        self.records().add(key, wire(key))
    }

    fn records(&self) -> Record<'_> {
        Record {
            name: &self.name,
            target: self.target.as_deref(),
            hash_names: self.hash_names,
            recorded: &self.recorded,
        }
    }

    /// The line that makes what the server has shown known: that of its key, or of the authority of its certificate.
    #[must_use]
    pub fn known_at(&self, shown: &PublicKeyOrCertificate) -> Option<Line> {
        let Shown { key, authority } = Shown::new(shown);
        let fits = |(_, entry): &&Found<'_>| match entry.purpose {
            Purpose::Host => *entry.key == *key,
            Purpose::Authority => authority.as_deref() == Some(&*entry.key),
            Purpose::Revoked => false,
        };
        let line = |(file, entry): &Found<'_>| file.line(entry);
        let plain = self.plain();
        let found = plain.all().find(fits).map(line);
        found.or_else(|| self.hashed().all().find(fits).map(line))
    }

    /// The refusal that a verdict comes to, with what to do about it.
    #[must_use]
    pub fn explain(&self, verdict: &Verdict, shown: &PublicKeyOrCertificate) -> Failure {
        let key = describe(&shown.public_key());
        let name = &self.name;
        let text = match verdict {
            Verdict::Known => "host key known".to_owned(),
            Verdict::Unknown => "host key unknown; connect once with ssh to check it, \
                 or set StrictHostKeyChecking=accept-new"
                .to_owned(),
            // The key of each node matters here, however many they are.
            Verdict::Changed(line) => format!(
                "host key CHANGED ({line}): it is {key} now; if the node was reinstalled run \
                 `ssh-keygen -R '{name}'`, else somebody is listening in"
            ),
            Verdict::Revoked(line) => format!("host key revoked ({line})"),
            Verdict::BadCertificate(why) => format!("host certificate refused: {why}"),
            Verdict::NoRevocations(why) => format!("host key not checked: {why}"),
        };
        Failure::new(ErrorCode::HostKey, text).detail(format!("{name} shows {key}"))
    }

    fn plain(&self) -> Entries<'_> {
        self.collect(|file, name| file.plain(name).collect())
    }

    fn hashed(&self) -> Entries<'_> {
        self.collect(|file, name| file.hashed(name).collect())
    }

    fn collect<'a>(&'a self, find: impl Fn(&'a File, &'a str) -> Vec<&'a Entry>) -> Entries<'a> {
        let under = |name: &'a str| {
            let files = self.files.iter().map(Arc::as_ref);
            files
                .flat_map(|file| find(file, name).into_iter().map(move |entry| (file, entry)))
                .collect()
        };
        Entries {
            name: under(&self.name),
            bare: self.bare.as_deref().map(under).unwrap_or_default(),
        }
    }
}

/// A key among the entries of a name: any that is equal will do, else any other is a change.
fn judge_key(entries: &[Found<'_>], key: &[u8]) -> Verdict {
    let keys = entries
        .iter()
        .filter(|(_, entry)| entry.purpose == Purpose::Host);
    if keys.clone().any(|(_, entry)| *entry.key == *key) {
        return Verdict::Known;
    }
    match keys.clone().next() {
        Some((file, entry)) => Verdict::Changed(file.line(entry)),
        None => Verdict::Unknown,
    }
}

/// What the server has shown, as on the wire.
struct Shown {
    key: Box<[u8]>,
    authority: Option<Box<[u8]>>,
}

impl Shown {
    fn new(shown: &PublicKeyOrCertificate) -> Self {
        Self {
            key: wire(&shown.public_key()),
            authority: shown
                .certificate()
                .map(|one| wire(&one.signature_key().clone().into())),
        }
    }
}

/// A key as it is on the wire. A key that cannot be written is equal to none in any file.
fn wire(key: &PublicKey) -> Box<[u8]> {
    key.to_bytes().unwrap_or_default().into()
}

/// A key for people: its algorithm and fingerprint.
fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

#[cfg(test)]
mod tests;
