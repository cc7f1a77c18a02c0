//! The file on the node that HAProxy reads at its start: written beside the old one, with its owner and permissions, put
//! in its place in one step, and the old one kept until all is well.
//!
//! A node runs text for any login shell, which hands it to a POSIX `sh`; so the script holds no apostrophe, line break,
//! exclamation mark or double backslash. What is temporary has a name that begins with a dot, which HAProxy leaves out
//! when it reads a folder.

use bytes::{Bytes, BytesMut};

use crate::event::{ErrorCode, Event, Failure, Outcome, Stream};
use crate::transport::{Command, Input, NodeIo, Session};
use crate::work::copy::quote;

/// What a node runs. Behind it: what to do, the file, a tag for what is temporary, and size or sum.
const SCRIPT: &str = r#"unset CDPATH; f() { printf "%s\n" "$1" >&2; exit 1; }; m=$1; d=$2; k=$3; [ -e "$d" ] || f "$d: No such file or directory"; [ -f "$d" ] || f "$d: not a regular file"; r=$(readlink -f "$d" 2>/dev/null); d=${r:-$d}; n=${d%/*}/.hapsh-$k-new; o=${d%/*}/.hapsh-$k-old; l() { i=$(ls -ldn "$1"); set -f; set -- $i; p=$1; u=$3:$4; z=$5; set +f; }; umask 077; case $m in (read) cat "$d" || exit 1;; (sum) cksum <"$d" || exit 1;; (put) e=$(cp -p "$d" "$n" 2>&1) || f "$d: ${e##*: }"; x() { rm -f "$n"; }; trap x 0; trap "exit 129" 1; trap "exit 130" 2; trap "exit 141" 13; trap "exit 143" 15; e=$({ cat >"$n"; } 2>&1) || f "$d: ${e##*: }"; l "$d"; a="$p $u"; l "$n"; [ "$z" = "$4" ] || f "$d: only $z of $4 bytes arrived"; [ "$p $u" = "$a" ] || f "$d: owner and permissions cannot be kept by this user"; sync "$n" 2>/dev/null; trap "" 0;; (swap) [ "$(cksum <"$d")" = "$4" ] || f "$d: changed by somebody else meanwhile"; e=$(ln "$d" "$o" 2>&1) || e=$(cp -p "$d" "$o" 2>&1) || f "$d: ${e##*: }"; e=$(mv -f "$n" "$d" 2>&1) || { rm -f "$o"; f "$d: ${e##*: }"; };; (old) cat "$o" || exit 1;; (back) e=$(mv -f "$o" "$d" 2>&1) || f "$d: ${e##*: }";; (drop) rm -f "$n" "$o";; esac; printf "hapsh: %s\n" "$m" >&2; exit 0"#;

/// The largest file that is taken, as the answers of HAProxy have the same end.
const LONGEST: usize = 64 << 20;

/// So much of what a node says besides is kept.
const SAID: usize = 4 << 10;

/// A file on a node.
#[derive(Debug)]
pub struct NodeFile {
    path: String,
    tag: String,
    /// Of the file as it was read.
    old_sum: String,
    /// What it is to be.
    new: Bytes,
    /// What it is to be stands beside it.
    is_put: bool,
    is_swapped: bool,
    /// It was read back as it is to be.
    is_proved: bool,
}

impl NodeFile {
    /// Reads a file; what is to become of it is for the caller to say.
    pub(super) async fn read(
        session: &mut dyn Session,
        io: &NodeIo,
        path: &str,
        make: impl FnOnce(&[u8]) -> Result<Bytes, Failure>,
    ) -> Result<Self, Failure> {
        let old = run(session, io, (path, ""), ("read", ""), None).await?;
        Ok(Self {
            path: path.to_owned(),
            tag: format!("{:016x}", fastrand::u64(..)),
            old_sum: sum(&old),
            new: make(&old)?,
            is_put: false,
            is_swapped: false,
            is_proved: false,
        })
    }

    /// Whether it is not yet what it is to be.
    #[must_use]
    pub fn needs_change(&self) -> bool {
        self.old_sum != sum(&self.new)
    }

    /// Whether the new one is in its place.
    #[must_use]
    pub fn is_swapped(&self) -> bool {
        self.is_swapped
    }

    /// Whether it was read at the end as it is to be.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.is_proved
    }

    async fn run(
        &self,
        session: &mut dyn Session,
        io: &NodeIo,
        what: (&str, &str),
    ) -> Result<Bytes, Failure> {
        run(session, io, (&self.path, &self.tag), what, None).await
    }

    /// Writes the new one beside the old one. Whoever may not do that is told before anything is changed.
    pub(super) async fn put(
        &mut self,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        let size = self.new.len().to_string();
        let place = (self.path.as_str(), self.tag.as_str());
        let input = Some(Input::from(self.new.clone()));
        let put = run(session, io, place, ("put", &size), input).await;
        put.map_err(|mut failure| {
            failure.message += "; nothing was changed; --become writes it as another user, --runtime-only leaves it out";
            failure
        })?;
        self.is_put = true;
        Ok(())
    }

    /// Puts the new one in the place of the old one.
    pub(super) async fn swap(
        &mut self,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        if self.is_put && !self.is_swapped {
            // Whatever comes of it: from now on the old one may have to be put back.
            self.is_swapped = true;
            let swapped = self.run(session, io, ("swap", &self.old_sum)).await;
            if let Err(failure) = swapped {
                self.is_swapped = failure.code != ErrorCode::File;
                return Err(failure);
            }
        }
        Ok(())
    }

    /// The old one, while it is kept.
    pub(super) async fn old(
        &self,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<Bytes, Failure> {
        self.run(session, io, ("old", "")).await
    }

    /// Puts the old one back.
    pub(super) async fn back(
        &mut self,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        if self.is_swapped {
            self.run(session, io, ("back", "")).await?;
            self.is_swapped = false;
        }
        Ok(())
    }

    /// Looks whether the file is what it is to be.
    pub(super) async fn prove(
        &mut self,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        let said = self.run(session, io, ("sum", "")).await?;
        self.is_proved = said.trim_ascii_end() == sum(&self.new).as_bytes();
        match self.is_proved {
            true => Ok(()),
            false => Err(Failure::new(
                ErrorCode::Verify,
                format!("{}: the file is not what was written", self.path),
            )),
        }
    }

    /// Takes away what is temporary. The old one goes only when nothing has to be put back any more.
    pub(super) async fn drop(
        &mut self,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        if self.is_put {
            self.run(session, io, ("drop", "")).await?;
            self.is_put = false;
        }
        Ok(())
    }
}

/// Runs the script and gives back what it printed. A refusal has the code [`ErrorCode::File`], and then nothing was
/// done.
async fn run(
    session: &mut dyn Session,
    io: &NodeIo,
    (path, tag): (&str, &str),
    (what, argument): (&str, &str),
    stdin: Option<Input>,
) -> Result<Bytes, Failure> {
    let words = [SCRIPT, "sh", what, path, tag, argument].map(quote);
    let command = Command {
        line: format!("exec /bin/sh -c {}", words.join(" ")),
        stdin,
        pty: false,
    };
    let (mut own, mut inbox) = io.part();
    let running = async {
        let outcome = session.exec(&command, &mut own).await;
        drop(own);
        outcome
    };
    let hearing = async {
        let (mut out, mut err) = (BytesMut::new(), BytesMut::new());
        while let Some(event) = inbox.recv().await {
            if let Event::Output { stream, data, .. } = event {
                let (kept, most) = match stream {
                    Stream::Out => (&mut out, LONGEST + 1),
                    Stream::Err => (&mut err, SAID),
                };
                let room = most.saturating_sub(kept.len()).min(data.len());
                kept.extend_from_slice(&data[..room]);
            }
        }
        (out.freeze(), err)
    };
    let (outcome, (out, err)) = tokio::join!(running, hearing);
    let said = String::from_utf8_lossy(&err);
    if out.len() > LONGEST {
        let text = format!("{path}: longer than {} MiB", LONGEST >> 20);
        return Err(Failure::new(ErrorCode::File, text));
    }
    match outcome {
        Outcome::Exited { status: 0 } if said.trim_end().ends_with(&format!("hapsh: {what}")) => {
            Ok(out)
        }
        Outcome::Exited { status: 0 } => Err(Failure::new(
            ErrorCode::ExecRefused,
            "the node runs something else than what it is asked to, so the file cannot be part of the change; --runtime-only leaves it out",
        )),
        Outcome::Exited { status } => {
            let line = said.lines().rev().find(|line| !line.trim().is_empty());
            let text = line.map_or_else(
                || format!("{path}: the script for the file ended with {status}"),
                str::to_owned,
            );
            Err(Failure::new(ErrorCode::File, text))
        }
        Outcome::Killed { signal } => Err(Failure::new(
            ErrorCode::File,
            format!("{path}: the script for the file was killed by SIG{signal}"),
        )),
        Outcome::Failed(failure) => Err(failure),
    }
}

/// Sum and size as `cksum` prints them (POSIX, `cksum`): what every system can say of a file.
fn sum(bytes: &[u8]) -> String {
    let mut crc = 0u32;
    let mut take = |byte: u8| {
        crc = (crc << 8) ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)];
    };
    bytes.iter().copied().for_each(&mut take);
    let mut length = bytes.len();
    while length > 0 {
        take((length & 0xff) as u8);
        length >>= 8;
    }
    format!("{} {}", !crc, bytes.len())
}

/// The remainders of each byte by the polynomial of POSIX.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 0x8000_0000 == 0 {
                rest << 1
            } else {
                (rest << 1) ^ 0x04c1_1db7
            };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_cksum() {
        assert_eq!(sum(b""), "4294967295 0");
        assert_eq!(sum(b"a.lab b_a\n"), cksum(b"a.lab b_a\n"));
        let long = vec![b'x'; 70_000];
        assert_eq!(sum(&long), cksum(&long));
    }

    fn cksum(bytes: &[u8]) -> String {
        use std::io::Write;
        let mut child = std::process::Command::new("cksum")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn any_shell_can_hand_the_script_on() {
        assert!(!SCRIPT.contains(['\'', '\n', '!']) && !SCRIPT.contains(r"\\"));
    }
}
