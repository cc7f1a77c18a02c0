//! The ini dialect of ClusterShell's configuration files, which is that of Python's `configparser` without
//! interpolation (Python library reference, "Supported INI File Structure").
//!
//! Several files merge key by key, the later one wins.

/// Sections with their options, in the order they first appeared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ini {
    sections: Vec<Section>,
    /// Options of `[DEFAULT]`, which every section has.
    defaults: Options,
    keeps_case: bool,
}

/// Option names, in lower case unless case is kept, and their values.
type Options = Vec<(String, String)>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Section {
    name: String,
    options: Options,
}

/// What is wrong with a file, in the words of the original tools.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IniError {
    /// A line before the first section.
    #[error("File contains no section headers.\nfile: '{file}', line: {line}\n{text}")]
    NoSection {
        /// The file's name.
        file: String,
        /// The line's number, from 1.
        line: usize,
        /// The line, quoted.
        text: String,
    },
    /// Lines that are neither section nor option.
    #[error("Source contains parsing errors: '{file}'{lines}")]
    Lines {
        /// The file's name.
        file: String,
        /// Each line with its number, quoted.
        lines: String,
    },
    /// A section or an option stands twice in one file.
    #[error("While reading from '{file}' [line {line:2}]: {what} already exists")]
    Twice {
        /// The file's name.
        file: String,
        /// The number of the second one's line.
        line: usize,
        /// `section 'x'` or `option 'y' in section 'x'`.
        what: String,
    },
}

/// Where the options of the current section are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Current {
    Defaults,
    Section(usize),
}

impl Ini {
    /// No files yet; the names of options will stay as they are written.
    #[must_use]
    pub fn keeping_case() -> Self {
        Self {
            keeps_case: true,
            ..Self::default()
        }
    }

    /// Adds what a file says. `file` is its name in messages.
    ///
    /// # Errors
    /// The first thing that is wrong with the text; nothing is added then.
    pub fn merge(&mut self, file: &str, text: &str) -> Result<(), IniError> {
        let read = self.read(file, text)?;
        for (name, value) in read.defaults {
            set(&mut self.defaults, name, value);
        }
        for section in read.sections {
            let options = match self.sections.iter_mut().find(|s| s.name == section.name) {
                Some(known) => &mut known.options,
                None => {
                    self.sections.push(section);
                    continue;
                }
            };
            for (name, value) in section.options {
                set(options, name, value);
            }
        }
        Ok(())
    }

    /// The names of the sections.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|section| section.name.as_str())
    }

    /// The value of an option, whose name is in lower case.
    #[must_use]
    pub fn get(&self, section: &str, option: &str) -> Option<&str> {
        let section = self.sections.iter().find(|s| s.name == section)?;
        [&section.options, &self.defaults]
            .into_iter()
            .find_map(|options| options.iter().find(|(name, _)| name == option))
            .map(|(_, value)| value.as_str())
    }

    /// All options of a section with their values, those of `[DEFAULT]` behind its own.
    pub fn entries<'a>(&'a self, section: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = self.sections.iter().find(|s| s.name == section);
        let own = own.map_or(&[][..], |section| &section.options);
        let is_own = |name: &str| own.iter().any(|(known, _)| known == name);
        let defaults = self.defaults.iter().filter(move |(name, _)| !is_own(name));
        own.iter()
            .chain(defaults)
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names of all options of a section.
    pub fn options(&self, section: &str) -> impl Iterator<Item = &str> {
        self.sections
            .iter()
            .filter(move |s| s.name == section)
            .flat_map(|s| s.options.iter().map(|(name, _)| name.as_str()))
    }

    fn read(&self, file: &str, text: &str) -> Result<Self, IniError> {
        let mut reader = Reader {
            file,
            ini: Self {
                keeps_case: self.keeps_case,
                ..Self::default()
            },
            current: None,
            indent: 0,
            in_option: false,
            seen_defaults: false,
            bad: String::new(),
        };
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            reader.line(number, line)?;
        }
        reader.finish()
    }

    fn options_mut(&mut self, current: Current) -> (&mut Options, &str) {
        match current {
            Current::Defaults => (&mut self.defaults, "DEFAULT"),
            Current::Section(index) => {
                let section = &mut self.sections[index];
                (&mut section.options, &section.name)
            }
        }
    }

    fn last(&mut self, current: Current) -> Option<&mut (String, String)> {
        self.options_mut(current).0.last_mut()
    }
}

/// Reads one file, line by line.
struct Reader<'a> {
    file: &'a str,
    ini: Ini,
    current: Option<Current>,
    /// How far the last section or option is indented: what is further in goes on with its value.
    indent: usize,
    in_option: bool,
    seen_defaults: bool,
    /// The lines that are neither section nor option.
    bad: String,
}

impl Reader<'_> {
    fn line(&mut self, number: usize, line: &str) -> Result<(), IniError> {
        let content = line.trim();
        if content.starts_with(['#', ';']) {
            return Ok(());
        }
        if content.is_empty() {
            // An empty line belongs to the value, if more of the value follows.
            self.go_on(content);
            return Ok(());
        }
        let depth = line.len() - line.trim_start().len();
        if self.in_option && depth > self.indent {
            self.go_on(content);
            return Ok(());
        }
        self.indent = depth;
        match header(content) {
            Some(name) => self.section(number, name),
            None => self.option(number, line),
        }
    }

    /// Adds a line to the value at hand.
    fn go_on(&mut self, content: &str) {
        let current = self.current.filter(|_| self.in_option);
        if let Some((_, value)) = current.and_then(|current| self.ini.last(current)) {
            value.push('\n');
            value.push_str(content);
        }
    }

    fn twice(&self, line: usize, what: String) -> IniError {
        IniError::Twice {
            file: self.file.to_owned(),
            line,
            what,
        }
    }

    fn section(&mut self, number: usize, name: &str) -> Result<(), IniError> {
        self.in_option = false;
        let sections = &mut self.ini.sections;
        let is_twice = match name {
            "DEFAULT" => std::mem::replace(&mut self.seen_defaults, true),
            _ => sections.iter().any(|section| section.name == name),
        };
        if is_twice {
            return Err(self.twice(number, format!("section '{name}'")));
        }
        if name == "DEFAULT" {
            self.current = Some(Current::Defaults);
        } else {
            self.current = Some(Current::Section(sections.len()));
            sections.push(Section {
                name: name.to_owned(),
                options: Vec::new(),
            });
        }
        Ok(())
    }

    fn option(&mut self, number: usize, line: &str) -> Result<(), IniError> {
        let Some(section) = self.current else {
            return Err(IniError::NoSection {
                file: self.file.to_owned(),
                line: number,
                text: quoted(line),
            });
        };
        let option = line
            .trim()
            .split_once(['=', ':'])
            .map(|(name, value)| (name.trim_end(), value.trim_start()))
            .filter(|(name, _)| !name.is_empty());
        let Some((name, value)) = option else {
            let bad = format!("\n\t[line {number:2}]: {}", quoted(line));
            self.bad.push_str(&bad);
            return Ok(());
        };
        let name = match self.ini.keeps_case {
            true => name.to_owned(),
            false => name.to_lowercase(),
        };
        let (options, section) = self.ini.options_mut(section);
        if options.iter().any(|(known, _)| *known == name) {
            let what = format!("option '{name}' in section '{section}'");
            return Err(self.twice(number, what));
        }
        options.push((name, value.to_owned()));
        self.in_option = true;
        Ok(())
    }

    fn finish(self) -> Result<Ini, IniError> {
        let Self {
            file, mut ini, bad, ..
        } = self;
        if !bad.is_empty() {
            return Err(IniError::Lines {
                file: file.to_owned(),
                lines: bad,
            });
        }
        let all = ini.sections.iter_mut().map(|section| &mut section.options);
        for (_, value) in all.chain([&mut ini.defaults]).flatten() {
            value.truncate(value.trim_end().len());
        }
        Ok(ini)
    }
}

fn set(options: &mut Options, name: String, value: String) {
    match options.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => options.push((name, value)),
    }
}

/// The name in `[name]`, up to the last bracket; what follows is ignored.
fn header(line: &str) -> Option<&str> {
    let inside = line.strip_prefix('[')?;
    let name = &inside[..inside.rfind(']')?];
    (!name.is_empty()).then_some(name)
}

/// The text as Python shows it in messages.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut shown = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\\' => shown.push_str("\\\\"),
            c if c == quote => shown.extend(['\\', c]),
            c if c.is_control() => shown.push_str(&format!("\\x{:02x}", u32::from(c))),
            '\u{feff}' => shown.push_str("\\ufeff"),
            c => shown.push(c),
        }
    }
    shown.push(quote);
    shown
}

/// A value that ends inside quotes or behind a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// A quote without its partner.
    #[error("No closing quotation")]
    Quote,
    /// A backslash at the end.
    #[error("No escaped character")]
    Backslash,
}

/// Splits a value into words as a shell does: blanks separate, quotes and backslashes protect.
///
/// # Errors
/// When a quote is not closed, or nothing follows a backslash.
pub fn words(value: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(WordsError::Quote)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(WordsError::Quote)? {
                        '"' => break,
                        '\\' => match chars.next().ok_or(WordsError::Backslash)? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word
                .get_or_insert_default()
                .push(chars.next().ok_or(WordsError::Backslash)?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ini(text: &str) -> Ini {
        let mut ini = Ini::default();
        ini.merge("g.conf", text).unwrap();
        ini
    }

    fn error(text: &str) -> String {
        Ini::default()
            .merge("./g.conf", text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn names_are_lowered_and_both_delimiters_count() {
        let ini = ini("# c\n; c\n[x] rest\nMAP = echo a ; b # c\nlist: a=b\nempty:\n");
        assert_eq!(ini.get("x", "map"), Some("echo a ; b # c"));
        assert_eq!(ini.get("x", "list"), Some("a=b"));
        assert_eq!(ini.get("x", "empty"), Some(""));
        assert_eq!(ini.get("x", "none"), None);
        assert_eq!(ini.sections().collect::<Vec<_>>(), ["x"]);
        assert_eq!(
            ini.options("x").collect::<Vec<_>>(),
            ["map", "list", "empty"]
        );
    }

    #[test]
    fn deeper_lines_continue_a_value() {
        let ini = ini("[x]\nmap: a\n  b\n\n# not me\n  c\n\nnext: %(x)s %%\n");
        assert_eq!(ini.get("x", "map"), Some("a\nb\n\nc"));
        assert_eq!(ini.get("x", "next"), Some("%(x)s %%"));
        let ini = self::ini("[x]\n map: a\n list: b\n");
        assert_eq!(ini.get("x", "list"), Some("b"));
    }

    #[test]
    fn default_section_and_merging() {
        let mut ini = ini("[DEFAULT]\nmap: d\n[x]\nlist: a\n");
        ini.merge("h", "[x]\nlist: b\n[y]\nmap: e\n").unwrap();
        assert_eq!(ini.get("x", "map"), Some("d"));
        assert_eq!(ini.get("x", "list"), Some("b"));
        assert_eq!(ini.get("y", "map"), Some("e"));
    }

    #[test]
    fn errors_are_worded_as_the_original_does() {
        assert_eq!(
            error("garbage\n"),
            "File contains no section headers.\nfile: './g.conf', line: 1\n'garbage\\n'"
        );
        assert_eq!(
            error("[x]\ngarbage\nmap: echo a\n: foo\n"),
            "Source contains parsing errors: './g.conf'\n\t[line  2]: 'garbage\\n'\n\t[line  4]: ': foo\\n'"
        );
        assert_eq!(
            error("[x]\nmap: a\nmap: b\n"),
            "While reading from './g.conf' [line  3]: option 'map' in section 'x' already exists"
        );
        assert_eq!(
            error("[x]\nmap: a\n[x]\n"),
            "While reading from './g.conf' [line  3]: section 'x' already exists"
        );
    }

    #[test]
    fn words_as_in_a_shell() {
        assert_eq!(
            words(r#" a "b c" 'd\'e f\ g "h\"i\j" "" "#).unwrap(),
            ["a", "b c", r"d\e", "f g", r#"h"i\j"#, ""]
        );
        assert_eq!(words("'a"), Err(WordsError::Quote));
        assert_eq!(words("a\\"), Err(WordsError::Backslash));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]a=: \n\t#'é-]{0,60}") {
            let _ = Ini::default().merge("f", &text);
            let _ = words(&text);
        }
    }
}
