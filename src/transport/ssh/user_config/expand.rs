//! Tokens (`%h`) and environment variables (`${NAME}`) in values (ssh_config(5), TOKENS).

use std::fmt::Write as _;

use sha1::{Digest, Sha1};

use super::facts::Facts;

/// Where a token may be used: the letters that are known there, beside `%%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// `HostName`.
    HostName,
    /// `ProxyCommand` and `ProxyJump`.
    Proxy,
    /// `Match exec`.
    Exec,
    /// Files: `IdentityFile`, `CertificateFile`, `IdentityAgent`, `UserKnownHostsFile`. `${NAME}` too.
    Files,
}

impl Allowed {
    fn letters(self) -> &'static str {
        match self {
            Self::HostName => "h",
            Self::Proxy => "hnpr",
            Self::Exec | Self::Files => "CLdhijklnpru",
        }
    }
}

/// What the tokens stand for.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    pub(super) facts: &'a Facts,
    /// `%h`
    pub(super) host: &'a str,
    /// `%n`
    pub(super) original: &'a str,
    /// `%p`
    pub(super) port: u16,
    /// `%r`
    pub(super) user: &'a str,
    /// `%k`: the alias, else the original name.
    pub(super) alias: Option<String>,
    /// `%j`: the text of `ProxyJump`, or nothing.
    pub(super) jump: &'a str,
}

impl Tokens<'_> {
    /// Replaces all tokens of a value.
    pub(super) fn expand(&self, text: &str, allowed: Allowed) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['%', '$']) {
            out.push_str(&rest[..at]);
            let (sign, behind) = rest[at..].split_at(1);
            if sign == "$" {
                match behind.strip_prefix('{') {
                    Some(inside) if allowed == Allowed::Files => {
                        let (name, behind) = inside
                            .split_once('}')
                            .ok_or_else(|| format!("`{text}`: `${{` is not closed"))?;
                        let value = self.facts.env.get(name).ok_or_else(|| {
                            format!("`{text}`: the environment has no variable `{name}`; set it")
                        })?;
                        out.push_str(value);
                        rest = behind;
                    }
                    _ => {
                        out.push('$');
                        rest = behind;
                    }
                }
                continue;
            }
            let mut letters = behind.chars();
            match letters.next() {
                Some('%') => out.push('%'),
                Some(letter) if allowed.letters().contains(letter) => {
                    out.push_str(&self.value(letter));
                }
                Some(letter) => {
                    return Err(format!(
                        "`{text}`: the token `%{letter}` is not known here; write `%%` for a percent sign"
                    ));
                }
                None => return Err(format!("`{text}`: a `%` at the end; write `%%`")),
            }
            rest = letters.as_str();
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, letter: char) -> String {
        let local = self.facts.host_name.as_str();
        match letter {
            'C' => self.connection_hash(),
            'L' => local.split('.').next().unwrap_or(local).to_owned(),
            'd' => self.facts.home.to_string_lossy().into_owned(),
            'h' => self.host.to_owned(),
            'i' => self.facts.uid.to_string(),
            'j' => self.jump.to_owned(),
            'k' => self
                .alias
                .clone()
                .unwrap_or_else(|| self.original.to_owned()),
            'l' => local.to_owned(),
            'n' => self.original.to_owned(),
            'p' => self.port.to_string(),
            'r' => self.user.to_owned(),
            _ => self.facts.user.clone(),
        }
    }

    /// `%C`: SHA-1 over `%l%h%p%r%j` in hexadecimal; OpenSSH before 9.6 leaves `%j` out.
    fn connection_hash(&self) -> String {
        let Self {
            facts,
            host,
            port,
            user,
            jump,
            ..
        } = self;
        let digest = Sha1::digest(format!("{}{host}{port}{user}{jump}", facts.host_name));
        digest.iter().fold(String::new(), |mut text, byte| {
            // Writing into a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}
