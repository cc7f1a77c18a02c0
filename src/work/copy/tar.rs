//! The headers of a tar stream: ustar, with a pax header in front where a name or a number does not fit.

/// The unit of a tar stream: headers and contents fill whole blocks.
pub(super) const BLOCK: u64 = 512;

/// What ends a stream: two empty blocks.
pub(super) const END: u64 = 2 * BLOCK;

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// A symbolic link, and what it says.
    Link(Vec<u8>),
}

/// What a header says about a member.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: &'a Kind,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) seconds: i64,
}

/// The largest number that eleven octal digits hold.
const OCTAL: u64 = 0o777_7777_7777;

/// How long a name may be without a pax header.
const NAME: usize = 100;

/// The header of a member, whole blocks.
pub(super) fn header(member: &Member<'_>) -> Vec<u8> {
    let mut name = member.name.to_vec();
    if *member.kind == Kind::Folder {
        name.push(b'/');
    }
    let (flag, link): (u8, &[u8]) = match member.kind {
        Kind::File => (b'0', b""),
        Kind::Folder => (b'5', b""),
        Kind::Link(to) => (b'2', to),
    };
    let mut more = Vec::new();
    if name.len() > NAME {
        more.extend(record("path", &name));
    }
    if link.len() > NAME {
        more.extend(record("linkpath", link));
    }
    if member.size > OCTAL {
        more.extend(record("size", member.size.to_string().as_bytes()));
    }
    let seconds = u64::try_from(member.seconds).unwrap_or_default();
    if seconds > OCTAL {
        more.extend(record("mtime", seconds.to_string().as_bytes()));
    }
    let mut all = Vec::new();
    if !more.is_empty() {
        all.extend(block(b"pax", b"", b'x', [0o600, more.len() as u64, 0]));
        all.append(&mut more);
        pad(&mut all);
    }
    let numbers = [
        u64::from(member.mode),
        member.size.min(OCTAL),
        seconds.min(OCTAL),
    ];
    all.extend(block(&name, link, flag, numbers));
    all
}

/// Fills the last block.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
}

/// One line of a pax header, which begins with its own length.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut line = format!("{length} {key}=").into_bytes();
    line.extend_from_slice(value);
    line.push(b'\n');
    line
}

/// One header block; `numbers` are mode, size and time.
fn block(name: &[u8], link: &[u8], flag: u8, [mode, size, seconds]: [u64; 3]) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, text: &[u8], room: usize| {
        let length = text.len().min(room);
        block[at..at + length].copy_from_slice(&text[..length]);
    };
    put(0, name, NAME);
    put(100, format!("{mode:07o}").as_bytes(), 7);
    put(108, b"0000000", 7);
    put(116, b"0000000", 7);
    put(124, format!("{size:011o}").as_bytes(), 11);
    put(136, format!("{seconds:011o}").as_bytes(), 11);
    put(148, b"        ", 8);
    put(156, &[flag], 1);
    put(157, link, NAME);
    put(257, b"ustar\x0000", 8);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}
