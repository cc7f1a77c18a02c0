//! The sessions of `show sess`: one line each, `0xPTR: key=value …`; of no fixed format beyond that.

use super::command::SessionPointer;
use super::name::ServerName;

/// The sessions that are on a server.
#[must_use]
pub fn rows(answer: &[u8]) -> Vec<(SessionPointer, ServerName)> {
    let text = String::from_utf8_lossy(answer);
    text.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<(SessionPointer, ServerName)> {
    let (pointer, rest) = line.split_once(": ")?;
    let pointer = u64::from_str_radix(pointer.strip_prefix("0x")?, 16).ok()?;
    let value = |key: &str| {
        let mut words = rest.split_ascii_whitespace();
        words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    };
    // `<NONE>` and `<none>` are no names.
    let name = ServerName::new(value("be")?, value("srv")?).ok()?;
    Some((SessionPointer(pointer), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_2_6_and_3_5() {
        let answer = b"0x5581309a3260: proto=tcpv4 src=127.0.0.1:39002 fe=web be=b_a srv=s1 ts=00 epoch=0 age=0s calls=3\n\
            0x5598ec6cc2a0: proto=tcpv4 src=127.0.0.1:56576 fe=web be=b_a srv=s2 ts=00 scf=[8,400h,fd=1/23,rex=59s,wex=]\n\
            0x55d0: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00\n\
            0x55d1: proto=? src= fe= be= srv=\n\n";
        let names: Vec<String> = rows(answer)
            .into_iter()
            .map(|(pointer, name)| format!("{pointer} {name}"))
            .collect();
        assert_eq!(names, ["0x5581309a3260 b_a/s1", "0x5598ec6cc2a0 b_a/s2"]);
        assert!(rows(b"Permission denied\n\n").is_empty());
    }
}
