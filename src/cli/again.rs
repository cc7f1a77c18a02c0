//! How the program is called once more with the same options: for hints that can be pasted.

use super::quote::quote;
use super::request::Options;

/// The program's name and the options that decide how nodes and their HAProxy are reached.
#[must_use]
pub(super) fn again(called: &str, options: &Options) -> String {
    let reach = &options.reach;
    let mut words = vec![called.to_owned()];
    let mut add = |option: &str, value: &str| words.push(format!("{option} {}", quote(value)));
    for (option, value) in [
        ("-l", &reach.user),
        ("-F", &reach.ssh_config),
        ("-R", &reach.worker),
        ("--via", &reach.via),
    ] {
        if let Some(value) = value {
            add(option, value);
        }
    }
    for (option, values) in [
        ("-o", &reach.ssh_option),
        ("--socket", &reach.socket),
        ("--master", &reach.master),
    ] {
        for value in values {
            add(option, value);
        }
    }
    if let Some(topology) = &reach.topology {
        add("--topology", &topology.to_string_lossy());
    }
    if let Some(user) = &reach.as_user {
        words.push(match user.as_str() {
            "root" => "--become".to_owned(),
            user => format!("--become={}", quote(user)),
        });
    }
    if options.targets.lab {
        words.push("--lab".to_owned());
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_repeated() {
        let mut options = Options::default();
        assert_eq!(again("hapsh", &options), "hapsh");
        options.reach.ssh_config = Some("my config".to_owned());
        options.reach.socket = vec!["/run/a.sock".to_owned(), "tcp:[::1]:9".to_owned()];
        options.reach.user = Some("ann".to_owned());
        options.reach.as_user = Some("root".to_owned());
        options.targets.lab = true;
        assert_eq!(
            again("hash", &options),
            "hash -l ann -F 'my config' --socket /run/a.sock --socket 'tcp:[::1]:9' --become --lab"
        );
    }
}
