//! Logging in: the methods in the configured order, until the server is content or nothing is left to try.

use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Prompt};
use russh::keys::HashAlg;
use russh::keys::agent::AgentIdentity;
use russh::{MethodKind, MethodSet, SendError, Signer};

use super::clock::{Elapsed, Left};
use super::errors::{self, printable};
use super::guard::Link;
use super::handler::Handler;
use super::keys::{Identities, Identity, KeyRing, KeySigner, Proof};
use super::questions::{Questions, Typed};
use super::target::Target;
use crate::event::{ErrorCode, Failure};
use crate::prompt::Echo;
use crate::trace::Trace;

/// A server that wants more methods after one another than this is playing with us.
const ROUNDS: usize = 8;

/// So many questions may one keyboard-interactive exchange have; a round without any counts as one.
const QUESTIONS: usize = 16;

/// One login.
pub(super) struct Login<'a> {
    pub(super) handle: &'a mut Handle<Handler>,
    pub(super) target: &'a Target,
    pub(super) link: &'a Link,
    pub(super) keys: &'a KeyRing,
    pub(super) questions: &'a Questions,
    pub(super) trace: &'a Trace,
    pub(super) left: Left,
}

/// What a method came to.
enum Step {
    Done,
    /// The server took it and wants more.
    Partial(MethodSet),
    /// Not accepted, or nothing to try.
    Next,
    /// The server waits for an answer nobody has. russh sends nothing else before it, so that is the end.
    Unanswered,
}

/// What was tried so far.
#[derive(Default)]
struct Tried {
    /// What the server would take, once it said so.
    offered: Option<MethodSet>,
    names: Vec<String>,
    problems: Vec<String>,
    keys: Vec<usize>,
    /// Secrets this node did not take.
    refused: Vec<Given>,
}

impl Tried {
    fn allows(&self, method: MethodKind) -> bool {
        self.offered
            .as_ref()
            .is_none_or(|offered| offered.contains(&method))
    }

    /// The last secret of that name this node did not take.
    fn refused(&self, name: &str) -> Option<&Typed> {
        let mut last_first = self.refused.iter().rev();
        last_first
            .find(|(known, _)| known == name)
            .map(|(_, typed)| typed)
    }
}

impl Login<'_> {
    /// Logs in.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let identities = if self.target.methods.contains(&MethodKind::PublicKey) {
            self.keys
                .identities(&self.target.keys, self.questions)
                .await
        } else {
            Arc::default()
        };
        let mut tried = Tried::default();
        if identities.list.is_empty() {
            // There is nothing better to begin with, and the answer says what the server takes.
            let user = self.target.settings.user.as_str();
            let none = self.handle.authenticate_none(user);
            let answer = self.left.spend(&self.questions.asking, none).await;
            match self.step(answer, &mut tried)? {
                Step::Done => {
                    self.tell("no proof at all");
                    return Ok(());
                }
                Step::Partial(_) | Step::Next | Step::Unanswered => {}
            }
        }
        'rounds: for _ in 0..ROUNDS {
            for method in &self.target.methods {
                if !tried.allows(*method) {
                    continue;
                }
                let step = match method {
                    MethodKind::PublicKey => self.public_key(&identities, &mut tried).await?,
                    MethodKind::KeyboardInteractive => self.interactive(&mut tried).await?,
                    MethodKind::Password => self.password(&mut tried).await?,
                    MethodKind::None | MethodKind::HostBased | MethodKind::GssapiWithMic => {
                        Step::Next
                    }
                };
                match step {
                    Step::Done => return Ok(()),
                    Step::Partial(methods) => {
                        tried.offered = Some(methods);
                        continue 'rounds;
                    }
                    Step::Next => {}
                    Step::Unanswered => break 'rounds,
                }
            }
            break;
        }
        Err(denied(self.target, &tried, &identities))
    }

    /// Tells with what the login succeeded.
    fn tell(&self, with: &str) {
        let target = self.target;
        let user = &target.settings.user;
        self.trace
            .brief(&target.node, || format!("logged in as {user} with {with}"));
    }

    async fn public_key(
        &mut self,
        identities: &Identities,
        tried: &mut Tried,
    ) -> Result<Step, Failure> {
        let mut rsa_hash = None;
        for (at, identity) in identities.in_order() {
            if tried.keys.contains(&at) {
                continue;
            }
            let hash = if identity.proof.is_rsa() {
                let best = match rsa_hash {
                    Some(hash) => hash,
                    None => *rsa_hash.insert(self.rsa_hash().await?),
                };
                hash_for(self.target, identity, best)
            } else {
                None
            };
            if identity.proof.is_rsa() && hash.is_none() {
                let text = format!("{}: the server takes RSA with SHA-1 only", identity.label);
                tried.problems.push(text);
                continue;
            }
            if !accepted(self.target, identity, hash) {
                let text = format!("{}: not in PubkeyAcceptedAlgorithms", identity.label);
                tried.problems.push(text);
                continue;
            }
            tried.keys.push(at);
            tried.names.push(identity.label.clone());
            let step = self.offer(identity, hash, tried).await?;
            let label = &identity.label;
            match step {
                Step::Next | Step::Unanswered => {
                    let node = &self.target.node;
                    self.trace
                        .full(node, || format!("key {label} was not taken"));
                }
                Step::Done | Step::Partial(_) => {
                    self.tell(&format!("key {label}"));
                    identities.worked(at);
                    return Ok(step);
                }
            }
            if !tried.allows(MethodKind::PublicKey) {
                break;
            }
        }
        Ok(Step::Next)
    }

    async fn rsa_hash(&mut self) -> Result<Option<HashAlg>, Failure> {
        let ask = self.handle.best_supported_rsa_hash();
        let known = self.left.spend(&self.questions.asking, ask).await;
        match known.map_err(|after| errors::authenticate_timeout(after.0))? {
            Ok(Some(hash)) => Ok(hash),
            // The server does not say; whatever is in use understands this one.
            Ok(None) => Ok(Some(HashAlg::Sha512)),
            Err(_) => Err(errors::lost(self.link)),
        }
    }

    async fn offer(
        &mut self,
        identity: &Identity,
        hash: Option<HashAlg>,
        tried: &mut Tried,
    ) -> Result<Step, Failure> {
        let user = self.target.settings.user.as_str();
        let asking = &self.questions.asking;
        let mut signer = Signing {
            signer: &identity.signer,
            questions: self.questions,
            ask: !self.target.settings.auth.batch,
            adds: self.target.settings.auth.adds_keys_to_agent,
        };
        let answer = match &identity.proof {
            Proof::Key(key) => {
                let key = key.clone();
                let answer = self
                    .handle
                    .authenticate_publickey_with(user, key, hash, &mut signer);
                self.left.spend(asking, answer).await
            }
            Proof::Certificate(certificate) => {
                let certificate = (**certificate).clone();
                let answer =
                    self.handle
                        .authenticate_certificate_with(user, certificate, hash, &mut signer);
                self.left.spend(asking, answer).await
            }
        };
        match answer {
            Ok(Ok(answer)) => self.step(Ok(Ok(answer)), tried),
            Ok(Err(SignError::Gone)) => Err(self.gone(tried)),
            Ok(Err(SignError::Refused(why))) => {
                tried.problems.push(format!("{}: {why}", identity.label));
                Ok(Step::Next)
            }
            Err(after) => Err(errors::authenticate_timeout(after.0)),
        }
    }

    async fn password(&mut self, tried: &mut Tried) -> Result<Step, Failure> {
        let name = secret_name(&self.target.settings.user);
        let prompt = self.password_prompt();
        loop {
            let refused = tried.refused(&name);
            let typed = self
                .questions
                .secret(
                    &name,
                    &prompt,
                    refused,
                    self.target.settings.auth.password_prompts,
                )
                .await;
            let Some(typed) = typed else {
                return Ok(Step::Next);
            };
            note(&mut tried.names, "password");
            let user = self.target.settings.user.as_str();
            let answer = self
                .handle
                .authenticate_password(user, typed.value.as_ref());
            let answer = self.left.spend(&self.questions.asking, answer).await;
            match self.step(answer, tried)? {
                Step::Next if tried.allows(MethodKind::Password) => {
                    tried.refused.push((name.clone(), typed));
                }
                step @ (Step::Done | Step::Partial(_) | Step::Next | Step::Unanswered) => {
                    if !matches!(step, Step::Next) {
                        self.tell("a password");
                        self.questions.secret_worked(&name, &typed).await;
                    }
                    return Ok(step);
                }
            }
        }
    }

    /// The question for the password of all nodes, behind the name of the node that wants it.
    fn password_prompt(&self) -> String {
        let (node, user) = (&self.target.node, &self.target.settings.user);
        format!("{node}: Password for {user} on all nodes: ")
    }

    async fn interactive(&mut self, tried: &mut Tried) -> Result<Step, Failure> {
        // As often as `ssh` does: a node that asks something new each time would else ask for ever.
        for _ in 0..self.target.settings.auth.password_prompts.max(1) {
            let mut given = Vec::new();
            let user = self.target.settings.user.as_str();
            let start = self
                .handle
                .authenticate_keyboard_interactive_start(user, None);
            let mut answer = self.left.spend(&self.questions.asking, start).await;
            let mut asked = 0;
            loop {
                let (instructions, prompts) = match answer {
                    Ok(Ok(KeyboardInteractiveAuthResponse::InfoRequest {
                        instructions,
                        prompts,
                        ..
                    })) => (instructions, prompts),
                    other => {
                        answer = other;
                        break;
                    }
                };
                asked += prompts.len().max(1);
                if asked > QUESTIONS {
                    let text = "the server asks too many questions".to_owned();
                    tried.problems.push(text);
                    return Ok(Step::Unanswered);
                }
                let mut responses = Vec::with_capacity(prompts.len());
                for prompt in &prompts {
                    let Some(response) =
                        self.respond(&instructions, prompt, tried, &mut given).await
                    else {
                        return Ok(Step::Unanswered);
                    };
                    responses.push(response);
                }
                let respond = self
                    .handle
                    .authenticate_keyboard_interactive_respond(responses);
                answer = self.left.spend(&self.questions.asking, respond).await;
            }
            let answer = answer.map(|answer| {
                answer.map(|answer| match answer {
                    KeyboardInteractiveAuthResponse::Success => AuthResult::Success,
                    KeyboardInteractiveAuthResponse::Failure {
                        remaining_methods,
                        partial_success,
                    } => AuthResult::Failure {
                        remaining_methods,
                        partial_success,
                    },
                    KeyboardInteractiveAuthResponse::InfoRequest { .. } => AuthResult::Failure {
                        remaining_methods: MethodSet::empty(),
                        partial_success: false,
                    },
                })
            });
            if !given.is_empty() {
                note(&mut tried.names, "keyboard-interactive");
            }
            let step = self.step(answer, tried)?;
            if !matches!(step, Step::Next) {
                self.tell("keyboard-interactive answers");
                for (name, typed) in &given {
                    self.questions.secret_worked(name, typed).await;
                }
                return Ok(step);
            }
            let nothing_new = given.is_empty();
            tried.refused.append(&mut given);
            if nothing_new || !tried.allows(MethodKind::KeyboardInteractive) {
                break;
            }
        }
        Ok(Step::Next)
    }

    /// Answers one question of the server: a secret is asked once for all nodes. Anybody can ask for anything, so what the
    /// person is shown begins with who asks.
    async fn respond(
        &self,
        instructions: &str,
        prompt: &Prompt,
        tried: &Tried,
        given: &mut Vec<Given>,
    ) -> Option<String> {
        let (node, user) = (&self.target.node, &self.target.settings.user);
        let instructions = printable(instructions.as_bytes(), 120);
        let shown = printable(prompt.prompt.as_bytes(), 120);
        let words = [instructions.as_str(), &shown].join(" ");
        let words = words.trim();
        if prompt.echo {
            let shown = format!("{node}: {words} ");
            return self.questions.ask(&shown, Echo::Shown).await;
        }
        let (name, text) = if shown.to_lowercase().starts_with("password") {
            (secret_name(user), self.password_prompt())
        } else {
            (
                format!("{user}\n{shown}"),
                format!("{node}: {words} (for {user} on all nodes): "),
            )
        };
        let typed = self
            .questions
            .secret(
                &name,
                &text,
                tried.refused(&name),
                self.target.settings.auth.password_prompts,
            )
            .await?;
        let value = typed.value.to_string();
        given.push((name, typed));
        Some(value)
    }

    fn step(
        &self,
        answer: Result<Result<AuthResult, russh::Error>, Elapsed>,
        tried: &mut Tried,
    ) -> Result<Step, Failure> {
        match answer {
            Err(after) => Err(errors::authenticate_timeout(after.0)),
            Ok(Err(_)) => Err(self.gone(tried)),
            Ok(Ok(AuthResult::Success)) => Ok(Step::Done),
            Ok(Ok(AuthResult::Failure {
                remaining_methods,
                partial_success,
            })) => {
                if remaining_methods.is_empty() {
                    return Err(self.gone(tried));
                }
                if partial_success {
                    return Ok(Step::Partial(remaining_methods));
                }
                tried.offered = Some(remaining_methods);
                Ok(Step::Next)
            }
        }
    }

    /// The server closed the connection while we logged in.
    fn gone(&self, tried: &Tried) -> Failure {
        let why = self
            .link
            .reason()
            .unwrap_or_else(|| "connection closed".into());
        if self.link.is_broken() {
            let mut text = format!("connection lost during authentication: {why}");
            if !tried.names.is_empty() {
                text.push_str(&format!("; tried: {}", tried.names.join(", ")));
            }
            return Failure::new(ErrorCode::Protocol, text);
        }
        let mut text = format!("permission denied: {why}");
        if why.to_lowercase().contains("too many authentication") {
            text.push_str(&format!(
                " ({} keys were tried; name the right one with IdentityFile and IdentitiesOnly)",
                tried.keys.len()
            ));
        }
        Failure::new(ErrorCode::Auth, text)
    }
}

/// The hash to sign with: the best that the server takes, unless only the other is accepted here.
fn hash_for(target: &Target, identity: &Identity, best: Option<HashAlg>) -> Option<HashAlg> {
    let other = best.filter(|best| *best == HashAlg::Sha512);
    let other = other.map(|_| HashAlg::Sha256);
    let is_accepted = |hash: &HashAlg| accepted(target, identity, Some(*hash));
    best.into_iter().chain(other).find(is_accepted).or(best)
}

fn accepted(target: &Target, identity: &Identity, hash: Option<HashAlg>) -> bool {
    let Some(accepted) = &target.accepted else {
        return true;
    };
    let name = identity.proof.signature_name(hash);
    accepted.contains(&name)
}

/// A secret and the name it is known under.
type Given = (String, Typed);

fn secret_name(user: &str) -> String {
    format!("{user}\npassword")
}

fn note(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

fn denied(target: &Target, tried: &Tried, identities: &Identities) -> Failure {
    let user = &target.settings.user;
    let methods: Vec<&str> = tried
        .offered
        .iter()
        .flat_map(|offered| offered.iter())
        .map(<&str>::from)
        .collect();
    let mut text = format!("permission denied for {user}");
    if !methods.is_empty() {
        text.push_str(&format!(" ({})", methods.join(",")));
    }
    if tried.names.is_empty() {
        text.push_str("; nothing to try");
    } else {
        text.push_str(&format!("; tried: {}", tried.names.join(", ")));
    }
    for problem in tried.problems.iter().chain(&identities.problems) {
        text.push_str("; ");
        text.push_str(problem);
    }
    for (method, option) in [
        ("gssapi-with-mic", "GSSAPIAuthentication"),
        ("hostbased", "HostbasedAuthentication"),
    ] {
        let is_wanted = target.settings.unused.iter().any(|one| one.name == option);
        if is_wanted && methods.contains(&method) {
            text.push_str(&format!("; {option} is only for the system's ssh"));
        }
    }
    Failure::new(ErrorCode::Auth, text)
}

/// Signs for russh, with the agent or a key file that may have to be opened first.
struct Signing<'a> {
    signer: &'a KeySigner,
    questions: &'a Questions,
    /// Whether a passphrase may be asked for.
    ask: bool,
    /// Whether `ssh` would now give the key to the agent.
    adds: bool,
}

/// Why there is no signature.
enum SignError {
    /// The connection is gone.
    Gone,
    Refused(String),
}

impl From<SendError> for SignError {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl Signer for Signing<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _identity: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        match self.signer {
            KeySigner::Agent(agent, identity) => agent
                .sign(identity, hash, to_sign)
                .await
                .map_err(SignError::Refused),
            KeySigner::File(file) => {
                let key = match (file.opened(), self.ask) {
                    (Some(key), _) => Ok(Arc::clone(key)),
                    (None, true) => {
                        let opened = file.private(self.questions).await;
                        if opened.is_ok() && self.adds {
                            self.questions.warn_once(
                                "AddKeysToAgent has no effect here: ssh-add keeps the key open",
                            );
                        }
                        opened
                    }
                    (None, false) => Err("encrypted, and BatchMode forbids to ask".into()),
                }
                .map_err(SignError::Refused)?;
                key.sign(hash, to_sign)
                    .map_err(|error| SignError::Refused(error.to_string()))
            }
        }
    }
}
