//! The words of `ssh`'s command line as settings of our own SSH.

use crate::transport::ways::{ConfigFile, is_only_for_ssh};

/// What the words say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Native {
    /// `-F`.
    pub(super) file: ConfigFile,
    /// `-o`, and what other letters say in its words.
    pub(super) options: Vec<String>,
    /// `-l`.
    pub(super) user: Option<String>,
}

/// Letters with a value that are options by another name.
const NAMED: &[(char, &str)] = &[
    ('p', "Port"),
    ('i', "IdentityFile"),
    ('J', "ProxyJump"),
    ('c', "Ciphers"),
    ('m', "MACs"),
    ('b', "BindAddress"),
    ('B', "BindInterface"),
    ('P', "Tag"),
];

/// Letters without a value, and the option they are; none if it says nothing to us.
const FLAGS: &[(char, Option<&str>)] = &[
    ('4', Some("AddressFamily=inet")),
    ('6', Some("AddressFamily=inet6")),
    ('C', Some("Compression=yes")),
    ('q', Some("LogLevel=QUIET")),
    ('a', None),
    ('k', None),
    ('T', None),
    ('x', None),
];

/// The words as settings; `None` when one of them is only for the system's `ssh`.
pub(super) fn native_options(words: Vec<String>) -> Option<Native> {
    let mut native = Native::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut letters = word.strip_prefix('-')?.chars();
        if letters.as_str().is_empty() {
            return None;
        }
        while let Some(letter) = letters.next() {
            if let Some((_, option)) = FLAGS.iter().find(|(known, _)| *known == letter) {
                native.options.extend(option.map(str::to_owned));
                continue;
            }
            let attached = letters.as_str();
            let value = if attached.is_empty() {
                words.next()?
            } else {
                attached.to_owned()
            };
            native.take(letter, value)?;
            break;
        }
    }
    Some(native)
}

impl Native {
    /// A letter with its value.
    fn take(&mut self, letter: char, value: String) -> Option<()> {
        match letter {
            'o' => {
                if is_only_for_ssh(&value) {
                    return None;
                }
                self.options.push(value);
            }
            'F' => self.file = ConfigFile::from_flag(&value),
            'l' => {
                self.user.get_or_insert(value);
            }
            _ => {
                let (_, name) = NAMED.iter().find(|(known, _)| *known == letter)?;
                self.options.push(format!("{name}={value}"));
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Native> {
        native_options(text.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn words_of_ssh_are_understood() {
        let native =
            read("-p 22 -i /k -oStrictHostKeyChecking=no -F none -4C -l me -lyou").unwrap();
        assert_eq!(
            native.options,
            [
                "Port=22",
                "IdentityFile=/k",
                "StrictHostKeyChecking=no",
                "AddressFamily=inet",
                "Compression=yes"
            ]
        );
        assert_eq!(
            (native.file, native.user.as_deref()),
            (ConfigFile::None, Some("me"))
        );
        assert_eq!(read(""), Some(Native::default()));
    }

    #[test]
    fn what_is_not_ours_goes_to_the_systems_ssh() {
        for text in [
            "-A",
            "-tt",
            "-p",
            "host",
            "-W a:1",
            "-oGSSAPIAuthentication=yes",
            "-o ForwardAgent=yes",
            "-o ControlMaster=auto",
            "-oControlPath=~/.ssh/%C",
            "-S /tmp/master",
            "-v",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(read("-oForwardAgent=no -oGSSAPIAuthentication=no").is_some());
    }
}
