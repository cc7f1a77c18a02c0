//! The layers hold: every `crate::` path in `src` is compared with one table. And files and functions stay short enough
//! to be read at once.

use std::fs;
use std::path::{Path, PathBuf};

const CORE: &str = "event answer plan nodeset gather gateway haproxy service topology destination ini yaml placeholder lines trace";

/// Which modules a module may import besides itself. `core` stands for all of [`CORE`]; a `!` means the module's
/// own items only, such as its trait, and nothing of the modules inside it. A module inside another may have a row of
/// its own.
const TABLE: &[(&str, &str)] = &[
    // 1. core
    ("event", "answer plan nodeset service"),
    ("answer", "haproxy"),
    ("plan", "event nodeset"),
    ("nodeset", ""),
    ("gather", "event plan nodeset"),
    ("haproxy", "event plan nodeset"),
    ("service", "event plan nodeset yaml placeholder"),
    ("gateway", "event plan nodeset"),
    ("topology", "plan nodeset destination ini"),
    ("destination", ""),
    ("ini", ""),
    ("yaml", ""),
    ("placeholder", ""),
    ("lines", "event"),
    ("trace", ""),
    // 2. faces
    ("transport", "core prompt"),
    ("groups", "core"),
    ("config", "core"),
    ("report", "core prompt"),
    ("terminal", "core prompt"),
    ("prompt", "core"),
    // 3. engine
    ("exec", "core transport! report! work!"),
    // The change is made of the works of HAProxy, and knows them by name.
    ("exec::change", "core transport! report! work"),
    ("exec::transaction", "core transport! report! work"),
    ("work", "core transport! prompt"),
    // 4. lab
    ("lab", "core"),
    // 5. front
    (
        "cli",
        "core transport groups config report terminal prompt exec work lab",
    ),
    // Beside them: what is built for tests and for the fuzzer only.
    (
        "fuzzing",
        "core transport groups config report prompt exec work cli",
    ),
];

/// What core does without.
const NOT_IN_CORE: [&str; 9] = [
    "tokio",
    "rustix",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "::now()",
    "std::os",
];

/// What is wrong with a file of the module, test code left out.
fn violations(module: &str, text: &str) -> Vec<String> {
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == module) else {
        return vec![format!("module {module} has no row in tests/it/layers.rs")];
    };
    let allowed = allowed.replace("core", CORE);
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut found = Vec::new();
    for line in code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        if CORE.split(' ').any(|core| core == module) {
            let words = NOT_IN_CORE.iter().filter(|word| line.contains(**word));
            found.extend(words.map(|word| format!("{module} is core, which has no {word}")));
        }
        for path in line.split("crate::").skip(1) {
            let end = path.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let (target, rest) = path.split_at(end.unwrap_or(path.len()));
            let direct = rest.starts_with("::{") && !rest[3..].contains("::")
                || rest[2.min(rest.len())..].starts_with(char::is_uppercase);
            let fits =
                |word: &str| word == target || direct && word.strip_suffix('!') == Some(target);
            let own = module.split("::").next().unwrap_or(module);
            if target != own && !allowed.split(' ').any(fits) {
                found.push(format!("{module} imports {}", line.trim()));
            }
        }
    }
    found
}

fn visit(folder: &Path, module: Option<&str>, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("src").flatten() {
        let path = entry.path();
        let stem = path
            .file_stem()
            .expect("name")
            .to_string_lossy()
            .into_owned();
        let inner = format!("{}::{stem}", module.unwrap_or_default());
        let has_own_row = TABLE.iter().any(|(name, _)| *name == inner);
        let module = if has_own_row {
            &inner
        } else {
            module.unwrap_or(&stem)
        };
        if ["tests", "lib", "main"].contains(&stem.as_str()) || module == "bin" {
            continue;
        }
        if path.is_dir() {
            visit(&path, Some(module), found);
        } else {
            let text = fs::read_to_string(&path).expect("source file");
            let wrong = violations(module, &text).into_iter();
            found.extend(wrong.map(|what| format!("{}: {what}", path.display())));
        }
    }
}

/// What parts of the front may not name: a folder of `src`, and the beginnings of paths.
const FORBIDDEN: [(&str, &[&str]); 2] = [
    // From what was typed to what will happen: the same for all fronts and verbs.
    (
        "cli/resolve",
        &["cli::front", "cli::verb", "super::front", "super::verb"],
    ),
    // Fronts are words. How a node is reached is made in `cli::resolve`.
    (
        "cli/front",
        &[
            "transport::gateway",
            "transport::local",
            "transport::openssh",
            "transport::pdsh",
            "transport::rsh",
            "transport::shell",
            "transport::sim",
            "transport::slurm",
            "transport::ssh",
            "transport::sudo",
        ],
    ),
];

/// The longest file, and the longest function, in lines.
const LONGEST: (usize, usize) = (600, 80);

/// Every source file below a folder.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).expect("source file");
            found.push((path.display().to_string(), text));
        }
    }
    found
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The functions of a file that is formatted, with their lengths: the end is the brace that is indented as the start.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let words = [
        "pub ",
        "pub(super) ",
        "pub(crate) ",
        "pub(in crate::cli) ",
        "const ",
        "async ",
    ];
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let mut rest = line.trim_start();
        let indent = &line[..line.len() - rest.len()];
        while let Some(more) = words.iter().find_map(|word| rest.strip_prefix(word)) {
            rest = more;
        }
        let Some(name) = rest.strip_prefix("fn ") else {
            continue;
        };
        let is_end = |line: &str| line.strip_prefix(indent) == Some("}");
        let is_next = |line: &str| {
            line.ends_with(';')
                && line
                    .strip_prefix(indent)
                    .is_some_and(|rest| rest.starts_with(')'))
        };
        let length = lines[at..]
            .iter()
            .position(|line| is_end(line) || is_next(line));
        let name = name.split(['(', '<']).next().unwrap_or_default();
        // What has no body of its own, or all in one line, has no such end or a length of one.
        if !line.ends_with([';', '}']) {
            found.push((name, length.expect("an end") + 1));
        }
    }
    found
}

#[test]
fn fronts_and_what_resolves_for_them_stay_apart() {
    for (folder, forbidden) in FORBIDDEN {
        let files = sources(&src().join(folder));
        assert!(!files.is_empty(), "{folder}");
        for (path, text) in files {
            for line in text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
            {
                let named = forbidden.iter().find(|path| line.contains(**path));
                assert_eq!(named, None, "{path}: {line}");
            }
        }
    }
}

#[test]
fn files_and_functions_can_be_read_at_once() {
    let (file, function) = LONGEST;
    let mut long = Vec::new();
    for (path, text) in sources(&src()) {
        let lines = text.lines().count();
        if lines > file {
            long.push(format!("{path} has {lines} lines"));
        }
        for (name, lines) in functions(&text) {
            if lines > function {
                long.push(format!("{path}: {name} has {lines} lines"));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn functions_are_measured() {
    let text = "impl X {\n    pub(super) async fn a<'a>(\n        b: u8,\n    ) -> u8 {\n        b\n    }\n}\nfn c() {}\nfn d() {\n}\n";
    assert_eq!(functions(text), [("a", 5), ("d", 2)]);
    let text = "trait T {\n    fn a(\n        b: u8,\n    ) -> u8;\n    fn e();\n}\n";
    assert_eq!(functions(text), [("a", 3)]);
}

#[test]
fn imports_point_down() {
    let mut found = Vec::new();
    visit(&src(), None, &mut found);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_planted_violation_is_caught() {
    for (module, planted) in [
        ("gather", "use crate::exec::dispatch;"),
        (
            "report",
            "    let gone = crate::transport::ssh::Ssh::new();",
        ),
        ("exec", "use crate::transport::sim::Sim;"),
        ("exec", "use crate::transport::{Session, sim::Sim};"),
        ("exec", "use crate::{cli, event::Event};"),
        ("exec", "use crate::work::haproxy::Sockets;"),
        ("exec::change", "use crate::cli::ledger::Log;"),
        ("plan", "use std::fs;"),
        ("event", "let start = Instant::now();"),
        ("unheard", "use crate::event::Event;"),
    ] {
        assert_eq!(violations(module, planted).len(), 1, "{module}: {planted}");
    }
    for (module, fine) in [
        ("exec", "use crate::transport::{NodeIo, Session};"),
        ("exec", "use crate::report::Reporter;"),
        ("exec::change", "use crate::work::haproxy::Sockets;"),
        ("report", "use crate::gather::Gather;"),
        (
            "gather",
            "#[cfg(test)]\nmod tests {\n    use crate::exec::dispatch;",
        ),
        ("cli", "use crate::lab::Lab;"),
    ] {
        assert_eq!(violations(module, fine), [""; 0], "{module}: {fine}");
    }
}
