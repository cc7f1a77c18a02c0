//! What is found for one host while its blocks are walked: the first value of each keyword, and the lists.

use super::asked::Given;
use super::blocks::{Heading, Setting};
use super::expand::Tokens;
use super::facts::Facts;
use super::place::Place;
use super::settings::{Missing, Proxy};
use super::value::{Canonicalize, Key, Value};
use crate::transport::ssh::pattern;

/// What was found so far, borrowed from the configuration.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) facts: &'a Facts,
    pub(super) given: Given<'a>,
    first: [Option<&'a Setting>; Key::COUNT],
    pub(super) identity_files: Vec<Listed<'a>>,
    pub(super) certificate_files: Vec<Listed<'a>>,
    pub(super) send_env: Vec<&'a Setting>,
    /// The blocks that were for the host.
    pub(super) applied: Vec<&'a Heading>,
    /// Options that do nothing here, and whether `ssh` would do something.
    pub(super) unused: Vec<(Missing, bool)>,
}

/// A file of a list, and where it was named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed<'a> {
    pub(super) text: &'a str,
    pub(super) place: &'a Place,
}

impl<'a> Values<'a> {
    pub(super) fn new(facts: &'a Facts, given: Given<'a>) -> Self {
        Self {
            facts,
            given,
            first: [None; Key::COUNT],
            identity_files: Vec::new(),
            certificate_files: Vec::new(),
            send_env: Vec::new(),
            applied: Vec::new(),
            unused: Vec::new(),
        }
    }

    /// Takes an option that does nothing here; the first of a name wins.
    pub(super) fn add_unused(&mut self, option: Missing, is_on: bool, place: &Place) {
        // What is asked for on the command line is missed whatever it is.
        let is_missed = option.is_missed || place.is_option();
        let option = Missing {
            is_missed,
            ..option
        };
        if !self
            .unused
            .iter()
            .any(|(known, _)| known.name == option.name)
        {
            self.unused.push((option, is_on));
        }
    }

    /// Whether `IgnoreUnknown` lets a keyword be unknown.
    pub(super) fn ignores(&self, keyword: &str) -> bool {
        match self.value(Key::IgnoreUnknown) {
            Some(Value::Word(list)) => pattern::matches_list(keyword, &list.to_ascii_lowercase()),
            _ => false,
        }
    }

    pub(super) fn add(&mut self, setting: &'a Setting) {
        if matches!(&setting.value, Value::Words(words) if words.is_empty()) {
            return;
        }
        let files = if setting.key == Key::IdentityFile {
            &mut self.identity_files
        } else if setting.key == Key::CertificateFile {
            &mut self.certificate_files
        } else if setting.key == Key::SendEnv {
            return self.send_env.push(setting);
        } else {
            if !self.is_excluded(setting.key) {
                self.first[setting.key as usize].get_or_insert(setting);
            }
            return;
        };
        if let Value::Word(text) = &setting.value
            && !files.iter().any(|file| file.text == text)
        {
            let place = &setting.place;
            files.push(Listed { text, place });
        }
    }

    /// A command keeps jumps out, even `none` does; jumps keep a command out, but `none` does not.
    fn is_excluded(&self, key: Key) -> bool {
        if key == Key::ProxyJump {
            return self.first(Key::ProxyCommand).is_some();
        }
        let jumps = self.value(Key::ProxyJump);
        key == Key::ProxyCommand && matches!(jumps, Some(Value::Proxy(Proxy::Jump(_), _)))
    }

    /// The setting that says how to get there.
    pub(super) fn proxy(&self) -> Option<&'a Setting> {
        self.first(Key::ProxyCommand)
            .or_else(|| self.first(Key::ProxyJump))
    }

    pub(super) fn first(&self, key: Key) -> Option<&'a Setting> {
        self.first[key as usize]
    }

    pub(super) fn value(&self, key: Key) -> Option<&'a Value> {
        self.first(key).map(|setting| &setting.value)
    }

    pub(super) fn flag(&self, key: Key, default: bool) -> bool {
        match self.value(key) {
            Some(Value::Flag(flag)) => *flag,
            _ => default,
        }
    }

    pub(super) fn user(&self) -> &'a str {
        let configured = |setting: &'a Setting| {
            let Value::Word(user) = &setting.value else {
                return None;
            };
            Some(user.as_str())
        };
        let given = self.given;
        given
            .user
            .or_else(|| self.option(Key::User).and_then(configured))
            .or(given.usual_user)
            .or_else(|| self.first(Key::User).and_then(configured))
            .unwrap_or(&self.facts.user)
    }

    pub(super) fn port(&self) -> u16 {
        let configured = |setting: &'a Setting| {
            let Value::Port(port) = setting.value else {
                return None;
            };
            Some(port)
        };
        self.option(Key::Port)
            .and_then(configured)
            .or(self.given.port)
            .or_else(|| self.first(Key::Port).and_then(configured))
            .unwrap_or(22)
    }

    /// The setting, if it is an option of the command line.
    pub(super) fn option(&self, key: Key) -> Option<&'a Setting> {
        self.first(key).filter(|setting| setting.place.is_option())
    }

    pub(super) fn tag(&self) -> &'a str {
        match self.value(Key::Tag) {
            Some(Value::Word(tag)) => tag,
            _ => "",
        }
    }

    pub(super) fn canonicalizes(&self) -> Canonicalize {
        match self.value(Key::CanonicalizeHostname) {
            Some(Value::Canonicalize(when)) => *when,
            _ => Canonicalize::No,
        }
    }

    /// What keys are filed under instead of host and port.
    pub(super) fn alias(&self) -> Option<String> {
        match self.value(Key::HostKeyAlias) {
            Some(Value::Word(alias)) => Some(alias.to_ascii_lowercase()),
            _ => None,
        }
    }

    /// The tokens as they stand now.
    pub(super) fn tokens<'t>(&'t self, original: &'t str, host: &'t str) -> Tokens<'t> {
        Tokens {
            facts: self.facts,
            host,
            original,
            port: self.port(),
            user: self.user(),
            alias: self.alias(),
            jump: match self.value(Key::ProxyJump) {
                Some(Value::Proxy(_, text)) => text,
                _ => "",
            },
        }
    }
}
