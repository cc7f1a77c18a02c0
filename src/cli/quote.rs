//! Quoting for a POSIX shell.

/// The word as a shell reads it back: unchanged if every byte is harmless, else in single quotes.
#[must_use]
pub(super) fn quote(word: &str) -> String {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(harmless) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The text for the remote shell: one word is text for it, several are quoted one by one, so that the
/// remote program sees exactly these arguments.
#[must_use]
pub(super) fn command_line(words: &[String]) -> String {
    match words {
        [one] => one.clone(),
        many => many
            .iter()
            .map(|word| quote(word))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_shell_text_and_several_are_arguments() {
        let words = |list: &[&str]| {
            list.iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            command_line(&words(&["uptime | cut -c1-5"])),
            "uptime | cut -c1-5"
        );
        assert_eq!(
            command_line(&words(&["echo", "a b", "it's", "", "$HOME"])),
            r"echo 'a b' 'it'\''s' '' '$HOME'"
        );
    }

    #[test]
    fn a_real_shell_reads_the_same_words_back() {
        let words: Vec<String> = ["a b", "'", "\"", "\\", "$(id)", "*", "", "é\n", "-n", "~"]
            .iter()
            .map(|word| (*word).to_owned())
            .collect();
        let line = format!(
            "for w in {}; do printf '%s\\0' \"$w\"; done",
            command_line(&words)
        );
        let shown = std::process::Command::new("sh")
            .arg("-c")
            .arg(line)
            .output()
            .unwrap();
        let read: Vec<String> = String::from_utf8(shown.stdout)
            .unwrap()
            .split_terminator('\0')
            .map(str::to_owned)
            .collect();
        assert_eq!(read, words);
    }
}
