//! What we can prove who we are with: key files, certificates and the agent's keys, read once for all nodes.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError};

use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey, decode_secret_key};
use tokio::sync::{Mutex, OnceCell};

use super::agent::Agent;
use super::errors::reason;
use super::open_key::OpenKey;
use super::questions::Questions;
use crate::prompt::Echo;

/// How often a passphrase may be typed.
const PASSPHRASE_TRIES: usize = 3;

/// Which keys a node's configuration names. Most nodes have the same, so it is also the key of a cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct KeyChoice {
    /// `IdentityFile`, expanded. `given` ones were asked for, the others are the usual places.
    pub(super) files: Vec<PathBuf>,
    /// Whether `files` was asked for: a missing file is then worth a warning.
    pub(super) given: bool,
    /// `CertificateFile`, expanded.
    pub(super) certificates: Vec<PathBuf>,
    /// `IdentitiesOnly`.
    pub(super) only: bool,
    /// The agent's socket.
    pub(super) agent: Option<PathBuf>,
}

/// Identities by what the configuration names, each read once.
#[derive(Debug, Default)]
pub(super) struct KeyRing {
    identities: StdMutex<HashMap<KeyChoice, Arc<OnceCell<Arc<Identities>>>>>,
    agents: StdMutex<HashMap<PathBuf, Arc<Agent>>>,
    files: Mutex<HashMap<PathBuf, Arc<FileKey>>>,
}

/// The identities to try, in order.
#[derive(Debug, Default)]
pub(super) struct Identities {
    pub(super) list: Vec<Identity>,
    /// What could not be used and why, for the message when nothing else worked either.
    pub(super) problems: Vec<String>,
    /// The one that worked last.
    worked: AtomicUsize,
}

/// One way to prove who we are.
#[derive(Debug)]
pub(super) struct Identity {
    /// For messages: a path, or the agent and the key's comment.
    pub(super) label: String,
    pub(super) proof: Proof,
    pub(super) signer: KeySigner,
}

/// What is shown to the server.
#[derive(Debug)]
pub(super) enum Proof {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

impl Proof {
    fn key_data(&self) -> &KeyData {
        match self {
            Self::Key(key) => key.key_data(),
            Self::Certificate(certificate) => certificate.public_key(),
        }
    }

    /// Whether a hash has to be agreed upon.
    pub(super) fn is_rsa(&self) -> bool {
        matches!(self.key_data().algorithm(), Algorithm::Rsa { .. })
    }

    /// What the signature is called in the protocol.
    pub(super) fn signature_name(&self, hash: Option<HashAlg>) -> String {
        let algorithm = match self.is_rsa() {
            true => Algorithm::Rsa { hash },
            false => self.key_data().algorithm(),
        };
        match self {
            Self::Key(_) => algorithm.as_str().to_owned(),
            Self::Certificate(_) => algorithm.to_certificate_type(),
        }
    }
}

/// Who signs.
#[derive(Debug, Clone)]
pub(super) enum KeySigner {
    File(Arc<FileKey>),
    Agent(Arc<Agent>, Arc<AgentIdentity>),
}

impl Identities {
    /// The identities in the order to try: the one that worked last comes first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (usize, &Identity)> {
        let first = self.worked.load(Ordering::Relaxed);
        let worked = self.list.get(first).map(|identity| (first, identity));
        worked.into_iter().chain(
            self.list
                .iter()
                .enumerate()
                .filter(move |(at, _)| *at != first),
        )
    }

    /// Remembers that an identity worked.
    pub(super) fn worked(&self, at: usize) {
        self.worked.store(at, Ordering::Relaxed);
    }
}

impl KeyRing {
    /// The identities for a choice.
    pub(super) async fn identities(
        &self,
        choice: &KeyChoice,
        questions: &Questions,
    ) -> Arc<Identities> {
        let cell = {
            let mut all = lock(&self.identities);
            match all.get(choice) {
                Some(cell) => Arc::clone(cell),
                None => Arc::clone(all.entry(choice.clone()).or_default()),
            }
        };
        let made = cell.get_or_init(|| async { Arc::new(self.gather(choice, questions).await) });
        Arc::clone(made.await)
    }

    fn agent(&self, path: &Path) -> Arc<Agent> {
        let mut agents = lock(&self.agents);
        match agents.get(path) {
            Some(agent) => Arc::clone(agent),
            None => {
                let agent = Arc::new(Agent::new(path.to_owned()));
                agents.insert(path.to_owned(), Arc::clone(&agent));
                agent
            }
        }
    }

    /// In OpenSSH's order: certificates that were asked for, the agent's keys that files name, the agent's other
    /// keys, the remaining files.
    async fn gather(&self, choice: &KeyChoice, questions: &Questions) -> Identities {
        let mut problems = Vec::new();
        let mut files = Vec::new();
        let mut certificates = Vec::new();
        for path in &choice.files {
            match self.file(path).await {
                Ok(file) => files.push(file),
                Err(FileError::Missing) if !choice.given => {}
                Err(error) => problems.push(error.text(path)),
            }
        }
        for path in &choice.certificates {
            match read_certificate(path.clone()).await {
                Ok(Some(certificate)) => certificates.push((path.clone(), certificate)),
                Ok(None) => problems.push(FileError::Missing.text(path)),
                Err(error) => problems.push(error.text(path)),
            }
        }
        for path in choice.files.iter().map(|path| beside(path, "-cert.pub")) {
            match read_certificate(path.clone()).await {
                Ok(Some(certificate)) => certificates.push((path, certificate)),
                Ok(None) => {}
                Err(error) => problems.push(error.text(&path)),
            }
        }

        let mut held = Vec::new();
        if let Some(path) = &choice.agent {
            let agent = self.agent(path);
            match agent.identities().await {
                Ok(identities) => {
                    held.extend(identities.into_iter().map(|id| (Arc::clone(&agent), id)));
                }
                Err(error) => {
                    let text = format!("cannot use the agent at {}: {error}", path.display());
                    questions.warn_once(&text);
                    problems.push(text);
                }
            }
        }
        for problem in &problems {
            questions.warn_once(problem);
        }
        for file in files.iter().filter(|file| !file.can_sign()) {
            let is_held = held.iter().any(|(_, identity)| names(file, identity));
            if !is_held {
                problems.push(format!(
                    "{}: {}, and no agent holds it",
                    file.path.display(),
                    file.place()
                ));
            }
        }
        Identities {
            list: order(files, certificates, held, choice.only),
            problems,
            worked: AtomicUsize::new(0),
        }
    }

    async fn file(&self, path: &Path) -> Result<Arc<FileKey>, FileError> {
        let mut files = self.files.lock().await;
        if let Some(file) = files.get(path) {
            return Ok(Arc::clone(file));
        }
        let owned = path.to_owned();
        let file = off_loop(move || FileKey::read(&owned)).await??;
        let file = Arc::new(file);
        files.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }
}

fn order(
    files: Vec<Arc<FileKey>>,
    certificates: Vec<(PathBuf, Certificate)>,
    held: Vec<(Arc<Agent>, AgentIdentity)>,
    only: bool,
) -> Vec<Identity> {
    let held: Vec<_> = held
        .into_iter()
        .map(|(agent, identity)| (agent, Arc::new(identity)))
        .collect();
    let holder = |key: &KeyData| {
        held.iter().find(|(_, identity)| match &**identity {
            AgentIdentity::PublicKey { key: held, .. } => held.key_data() == key,
            AgentIdentity::Certificate { .. } => false,
        })
    };
    let mut list = Vec::new();
    for (path, certificate) in certificates {
        let key = certificate.public_key();
        let signer = match holder(key) {
            Some((agent, identity)) => KeySigner::Agent(Arc::clone(agent), Arc::clone(identity)),
            None => match files.iter().find(|file| file.signs_for(key)) {
                Some(file) => KeySigner::File(Arc::clone(file)),
                None => continue,
            },
        };
        list.push(Identity {
            label: path.display().to_string(),
            proof: Proof::Certificate(Box::new(certificate)),
            signer,
        });
    }
    let named = |identity: &AgentIdentity| files.iter().any(|file| names(file, identity));
    let (first, rest): (Vec<_>, Vec<_>) = held.iter().partition(|(_, id)| named(id));
    let rest = rest.into_iter().filter(|_| !only);
    for (agent, identity) in first.into_iter().chain(rest) {
        let (proof, comment) = match &**identity {
            AgentIdentity::PublicKey { key, comment } => (Proof::Key(key.clone()), comment),
            AgentIdentity::Certificate {
                certificate,
                comment,
            } => (Proof::Certificate(Box::new(certificate.clone())), comment),
        };
        list.push(Identity {
            label: format!("agent ({comment})"),
            proof,
            signer: KeySigner::Agent(Arc::clone(agent), Arc::clone(identity)),
        });
    }
    for file in &files {
        let Some(public) = file.public.clone() else {
            continue;
        };
        if file.can_sign() && holder(public.key_data()).is_none() {
            list.push(Identity {
                label: file.path.display().to_string(),
                proof: Proof::Key(public),
                signer: KeySigner::File(Arc::clone(file)),
            });
        }
    }
    list
}

/// Whether a file is of a key that the agent holds.
fn names(file: &FileKey, held: &AgentIdentity) -> bool {
    let held = match held {
        AgentIdentity::PublicKey { key, .. } => key.key_data(),
        AgentIdentity::Certificate { certificate, .. } => certificate.public_key(),
    };
    file.public() == Some(held)
}

/// A key file that was read.
pub(super) struct FileKey {
    path: PathBuf,
    /// Known without the passphrase, unless an old format hides it and no `.pub` lies beside it.
    public: Option<PublicKey>,
    open: OnceLock<Arc<OpenKey>>,
    sealed: Mutex<Sealed>,
    /// Only the public half is here: the agent signs, or nobody.
    public_only: bool,
}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileKey").field("path", &self.path).finish()
    }
}

enum Sealed {
    /// The text of an encrypted key.
    Text(Arc<str>),
    /// It stays closed, for this reason: nobody is asked again.
    Given(String),
}

/// Why a file is of no use.
#[derive(Debug)]
enum FileError {
    Missing,
    Io(io::Error),
    Exposed(u32),
    Format(String),
}

impl FileError {
    fn text(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Missing => format!("no key file {path}"),
            Self::Io(error) => format!("cannot read key file {path}: {}", reason(error)),
            Self::Exposed(mode) => format!(
                "key file {path} is ignored: others may read it (mode {mode:04o}; chmod 600 it)"
            ),
            Self::Format(why) => format!("cannot use key file {path}: {why}"),
        }
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            Self::Missing
        } else {
            Self::Io(error)
        }
    }
}

impl FileKey {
    fn read(path: &Path) -> Result<Self, FileError> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // OpenSSH takes the public half too, so that it can name a key of the agent.
                let text = std::fs::read_to_string(beside(path, ".pub"))?;
                return Self::public_half(path, &text);
            }
            other => other?,
        };
        if PublicKey::from_openssh(text.trim()).is_ok() {
            return Self::public_half(path, text.trim());
        }
        let about = std::fs::metadata(path)?;
        let mode = about.mode() & 0o7777;
        if mode & 0o077 != 0 && about.uid() == rustix::process::getuid().as_raw() {
            return Err(FileError::Exposed(mode));
        }
        let open = OnceLock::new();
        let sealed;
        let public = match decode_secret_key(&text, None) {
            Ok(key) if !key.is_encrypted() => {
                let public = key.public_key().clone();
                let _ = open.set(Arc::new(OpenKey::new(key)));
                sealed = Sealed::Given(String::new());
                Some(public)
            }
            Ok(_) | Err(russh::keys::Error::KeyIsEncrypted) => {
                let public = PrivateKey::from_openssh(&text)
                    .map(|key| key.public_key().clone())
                    .ok()
                    .or_else(|| read_public(&beside(path, ".pub")));
                sealed = Sealed::Text(text.into());
                public
            }
            Err(error) => return Err(FileError::Format(format_trouble(&error))),
        };
        let Some(public) = public else {
            return Err(FileError::Format(
                "it is encrypted in an old format and has no .pub file beside it".into(),
            ));
        };
        Ok(Self {
            path: path.to_owned(),
            public_only: matches!(
                public.algorithm(),
                Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
            ),
            public: Some(public),
            open,
            sealed: Mutex::new(sealed),
        })
    }

    fn public_half(path: &Path, text: &str) -> Result<Self, FileError> {
        let public = PublicKey::from_openssh(text.trim())
            .map_err(|error| FileError::Format(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            public: Some(public),
            open: OnceLock::new(),
            sealed: Mutex::new(Sealed::Given("only its public half is here".into())),
            public_only: true,
        })
    }

    fn public(&self) -> Option<&KeyData> {
        self.public.as_ref().map(PublicKey::key_data)
    }

    fn can_sign(&self) -> bool {
        !self.public_only
    }

    /// Where the half is that signs, if not here.
    fn place(&self) -> &'static str {
        let is_on_device = self.public.as_ref().is_some_and(|public| {
            matches!(
                public.algorithm(),
                Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
            )
        });
        match is_on_device {
            true => "a key on a device",
            false => "its private half is not here",
        }
    }

    fn signs_for(&self, key: &KeyData) -> bool {
        self.can_sign() && self.public() == Some(key)
    }

    /// The private key if no passphrase is needed any more.
    pub(super) fn opened(&self) -> Option<&Arc<OpenKey>> {
        self.open.get()
    }

    /// The private key; an encrypted one is opened once, with a passphrase asked once.
    pub(super) async fn private(&self, questions: &Questions) -> Result<Arc<OpenKey>, String> {
        if let Some(key) = self.open.get() {
            return Ok(Arc::clone(key));
        }
        let mut sealed = self.sealed.lock().await;
        if let Some(key) = self.open.get() {
            return Ok(Arc::clone(key));
        }
        let text = match &*sealed {
            Sealed::Text(text) => Arc::clone(text),
            Sealed::Given(why) => return Err(why.clone()),
        };
        let path = self.path.display();
        let mut prompt = format!("Passphrase for {path}: ");
        let mut wrong = false;
        for _ in 0..PASSPHRASE_TRIES {
            let Some(passphrase) = questions.ask(&prompt, Echo::Hidden).await else {
                break;
            };
            let text = Arc::clone(&text);
            let opened = off_loop(move || decode_secret_key(&text, Some(&passphrase)));
            match opened.await.map_err(|error| error.text(&self.path))? {
                Ok(key) => {
                    let key = Arc::new(OpenKey::new(key));
                    let _ = self.open.set(Arc::clone(&key));
                    *sealed = Sealed::Given(String::new());
                    return Ok(key);
                }
                Err(_) => {
                    wrong = true;
                    prompt = format!("Wrong passphrase. Passphrase for {path}: ");
                }
            }
        }
        let why = if wrong {
            format!("wrong passphrase for {path}")
        } else {
            format!("{path} is encrypted and no passphrase was given")
        };
        *sealed = Sealed::Given(why.clone());
        Err(why)
    }
}

fn format_trouble(error: &russh::keys::Error) -> String {
    use russh::keys::Error;
    if let Error::UnsupportedKeyType {
        key_type_string, ..
    } = error
    {
        format!("unsupported key type {key_type_string}")
    } else if matches!(error, Error::CouldNotReadKey) {
        "not a private key in a format we know".into()
    } else {
        error.to_string().to_lowercase()
    }
}

fn read_public(path: &Path) -> Option<PublicKey> {
    let text = std::fs::read_to_string(path).ok()?;
    PublicKey::from_openssh(text.trim()).ok()
}

async fn read_certificate(path: PathBuf) -> Result<Option<Certificate>, FileError> {
    let text = match off_loop(move || std::fs::read_to_string(path)).await? {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let certificate = Certificate::from_openssh(text.trim())
        .map_err(|error| FileError::Format(format!("not a certificate: {error}")))?;
    if certificate.cert_type() != CertType::User {
        return Err(FileError::Format("not a user certificate".into()));
    }
    Ok(Some(certificate))
}

/// Runs what blocks, such as reading a file or opening an encrypted key, off the loop.
async fn off_loop<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FileError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| FileError::Format(error.to_string()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn lock<T>(mutex: &StdMutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
