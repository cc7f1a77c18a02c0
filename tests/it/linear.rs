//! Ten times the input takes no more than about ten times as long, seen on whole processes.
//!
//! One run on much input is compared with ten runs on a tenth of it, which together read as much: CPU time, with room for
//! chance. What grows with the square of the input takes ten times as long there.

use std::fs;
use std::path::Path;
use std::process::Command;

/// So many numbers in an order in which none is near the one before.
fn shuffled(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |number| number * 618_033 % count)
}

/// CPU seconds of the commands of a script, of which every one has to end well.
fn cpu(script: &str, folder: &Path) -> f64 {
    let output = Command::new("sh")
        .args(["-ec", &format!("{script}\ntimes >&2")])
        .current_dir(folder)
        .env("HASH", env!("CARGO_BIN_EXE_hash"))
        .env("HOME", folder)
        .env("XDG_STATE_HOME", folder)
        .env("CLUSTERSHELL_CFGDIR", folder)
        .output()
        .expect("sh");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    // The last line is of the children: `0m1.230000s 0m0.010000s`.
    let seconds = said.lines().last().expect("times").split_whitespace();
    let seconds = seconds.map(|time| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').expect("a time");
        60.0 * minutes.parse::<f64>().expect("minutes") + seconds.parse::<f64>().expect("seconds")
    });
    seconds.sum()
}

/// Writes the input of each row, for so many nodes.
fn write(folder: &Path, count: usize) {
    let names: Vec<String> = shuffled(count)
        .map(|number| format!("node{number}"))
        .collect();
    let lines: String = names.iter().map(|name| format!("{name}: up\n")).collect();
    let list = names.join(",");
    let some = shuffled(count * 3 / 10).map(|number| format!("node{number}"));
    let groups = folder.join(format!("groups{count}"));
    fs::create_dir(&groups).expect("a folder");
    for (name, text) in [
        (format!("hosts{count}"), names.join("\n") + "\n"),
        (format!("lines{count}"), lines),
        (format!("list{count}"), some.collect::<Vec<_>>().join(",")),
        (
            format!("groups{count}.conf"),
            format!("[Main]\nautodir: $CFGDIR/groups{count}\n"),
        ),
        (
            format!("groups{count}/g.yaml"),
            format!("g:\n  big: '{list}'\n"),
        ),
    ] {
        fs::write(folder.join(name), text).expect("write");
    }
}

#[test]
fn much_input_takes_as_long_as_ten_tenths_of_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (few, many) = (4_000, 40_000);
    write(dir.path(), few);
    write(dir.path(), many);
    for command in [
        "nodeset --groupsconf=groups@.conf -f @big",
        "nodeset -f < hosts@",
        "nodeset -f \"$(cat list@)\"",
        "nodeset -f 'n[0-@0/2],n[0-@0/3]'",
        "nodeset -f 'a[0-@/2]b[0-3/2]&a[0-@/3]b[0-3/3]'",
        "clush -n -R exec --hostfile hosts@ -x 'node[1-99999]' echo",
        "-R exec -w - -x 'node[1-99999]' -- echo < hosts@",
        "clubak -b < lines@",
    ] {
        let run = |count: usize| {
            let command = command
                .replace("@big", "\0")
                .replace('@', &count.to_string());
            format!("\"$HASH\" {} > out", command.replace('\0', "@big"))
        };
        let tenths = cpu(&[run(few).as_str(); 10].join("\n"), dir.path());
        let whole = cpu(&run(many), dir.path());
        assert!(
            whole < 3.0 * tenths + 0.3,
            "{command}: {whole:.2} s, and ten tenths in {tenths:.2} s"
        );
    }
}
