//! The manual pages in `man/`: made from the command lines themselves, so that they cannot lag behind.
//!
//! `SNAPSHOTS=overwrite cargo test --test it man::` writes them anew.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use hapsh::cli::front::hash;
use snapbox::{Assert, Data};

use crate::lab::{Hash, find_program, skip};

/// A page: what is written by hand, before and after what the command line says of itself.
struct Page {
    name: &'static str,
    also: &'static [&'static str],
    command: fn() -> clap::Command,
    before: &'static str,
    after: &'static str,
}

const PAGES: &[Page] = &[Page {
    name: "hapsh",
    also: &["hash"],
    command: hash::command,
    before: include_str!("man/hapsh-description.roff"),
    after: include_str!("man/hapsh-end.roff"),
}];

impl Page {
    fn text(&self) -> String {
        let command = (self.command)()
            .disable_help_subcommand(true)
            .bin_name(self.name);
        let man = Man::new(command.clone())
            .title(self.name.to_uppercase())
            .section("1")
            .date("")
            .source(concat!("hapsh ", env!("CARGO_PKG_VERSION")))
            .manual("User Commands");
        let mut page = Vec::new();
        let written = man.render_title(&mut page);
        written.expect("into memory");
        let names: Vec<_> = std::iter::once(self.name)
            .chain(self.also.iter().copied())
            .collect();
        let about = command.get_about().expect("a command says what it is for");
        let mut name = Roff::new();
        name.control("SH", ["NAME"]);
        name.text([roman(format!("{} \\- {about}", names.join(", ")))]);
        page.extend(unescape_dash(&name.to_roff()).into_bytes());
        man.render_synopsis_section(&mut page).expect("into memory");
        page.extend_from_slice(self.before.as_bytes());
        man.render_options_section(&mut page).expect("into memory");
        page.extend(verbs(&command).into_bytes());
        page.extend(examples(&command).into_bytes());
        page.extend_from_slice(self.after.as_bytes());
        let page = String::from_utf8(page).expect("a page is text");
        // Each part defines the apostrophe anew; once is enough.
        let (preamble, rest) = page.split_at(page.find(".TH").expect("a title"));
        preamble.to_owned() + &rest.replace(preamble, "")
    }
}

/// `roff` escapes the backslash of the name line's `\-`, which readers of the name line look for.
fn unescape_dash(text: &str) -> String {
    text.replace("\\\\\\-", "\\-")
}

/// Each verb with the options that only it has, and behind it its actions.
fn verbs(command: &clap::Command) -> String {
    let mut text = String::from(".SH VERBS\n");
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        text += &entry("", verb);
        for action in verb.get_subcommands() {
            text += &entry(&format!("{} ", verb.get_name()), action);
        }
    }
    text
}

/// A verb or an action of one.
fn entry(before: &str, verb: &clap::Command) -> String {
    let mut verb = verb.clone().disable_help_flag(true);
    let usage = verb.render_usage().to_string();
    let usage = usage.trim().trim_start_matches("Usage: ").to_owned();
    let usage = format!("{before}{}", usage.replace(" [OPTIONS]", ""));
    let mut head = Roff::new();
    head.control("SS", [usage.as_str()]);
    if let Some(about) = verb.get_long_about().or_else(|| verb.get_about()) {
        head.text([roman(about.to_string())]);
    }
    let mut options = Vec::new();
    let man = Man::new(verb);
    man.render_options_section(&mut options)
        .expect("into memory");
    let options = String::from_utf8(options).expect("text");
    let options = options.lines().filter(|line| !line.starts_with(".SH "));
    head.to_roff() + &options.map(|line| format!("{line}\n")).collect::<String>()
}

/// What `--help` ends with, line by line as it stands there.
fn examples(command: &clap::Command) -> String {
    let Some(help) = command.get_after_help() else {
        return String::new();
    };
    let mut text = Roff::new();
    text.control("SH", ["EXAMPLES"]);
    text.control("nf", []);
    let help = help.to_string();
    for line in help.lines().filter(|line| !line.starts_with("Examples:")) {
        text.text([roman(line)]);
    }
    text.control("fi", []);
    text.to_roff()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man")
}

#[test]
fn pages_are_what_the_command_lines_say() {
    let assert = Assert::new().action_env("SNAPSHOTS");
    for page in PAGES {
        let file = folder().join(format!("{}.1", page.name));
        assert.eq(page.text(), Data::read_from(&file, None).raw());
        for name in page.also {
            let file = folder().join(format!("{name}.1"));
            let link = format!(".so man1/{}.1\n", page.name);
            assert.eq(link, Data::read_from(&file, None).raw());
        }
    }
}

#[test]
fn the_formatter_has_nothing_to_complain_of() {
    if find_program("groff", "").is_none() {
        skip("groff is not installed");
        return;
    }
    for page in fs::read_dir(folder()).expect("man").flatten() {
        let output = Command::new("groff")
            .args(["-man", "-ww", "-z", "-Kutf8"])
            .current_dir(folder().parent().expect("the project"))
            .arg(page.path())
            .stdin(Stdio::null())
            .output()
            .expect("groff");
        let text = fs::read_to_string(page.path()).expect("page");
        let said = String::from_utf8_lossy(&output.stderr);
        // a page that only names another one is resolved where pages are installed
        assert!(
            said.is_empty() || text.starts_with(".so "),
            "{}: {said}",
            page.path().display()
        );
    }
}

/// The keys that a wrong one is told it could have been.
fn known_keys(wrong: &str) -> Vec<String> {
    let ran = Hash::new(["config"]).config(wrong).run();
    assert_eq!(ran.code, Some(78), "{ran}");
    let (_, expected) = ran
        .stderr
        .split_once("expected")
        .expect("the keys it could have been");
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_page_about_the_configuration_has_every_key_and_examples_that_load() {
    let page = fs::read_to_string(folder().join("hapsh-config.5")).expect("hapsh-config.5");
    let plain = page.replace("\\-", "-");
    for (table, wrong) in [
        ("", "nonsense = 1\n"),
        ("haproxy.", "[haproxy]\nnonsense = 1\n"),
        (
            "haproxy.instances.NAME.",
            "[haproxy.instances.a]\nsocket = 'x'\nnonsense = 1\n",
        ),
    ] {
        let keys = known_keys(wrong);
        assert!(keys.len() > 2, "{keys:?}");
        for key in keys {
            let entry = format!(".TP\n.B {table}{key}\n");
            assert!(
                plain.contains(&entry) || key == "haproxy" || key == "instances",
                "no {entry:?}"
            );
        }
    }
    let examples: Vec<_> = plain.split(".EX\n").skip(1).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let (toml, _) = example.split_once(".EE").expect("the example's end");
        let ran = Hash::new(["config"]).config(toml).run();
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (Some(0), ""),
            "{ran}\n{toml}"
        );
    }
}
