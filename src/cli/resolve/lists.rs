//! Lists of node sets: files and standard input, read word by word and never without an end.

use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};

/// A list, or one word of a list that may go on for ever, has at most this many bytes.
pub(in crate::cli) const LONGEST: u64 = 64 * 1024 * 1024;

/// So much is read at one time.
const BLOCK: usize = 64 * 1024;

/// What some editors put in front of UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Format {
    /// Whether `#` begins a comment, which ends with the line.
    pub(in crate::cli) comments: bool,
    /// What may be in it.
    pub(in crate::cli) content: Content,
}

/// What may be in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Content {
    /// At most [`LONGEST`] bytes of UTF-8 text without NUL bytes. A byte order mark in front is passed over.
    Text,
    /// Anything without end. What is not UTF-8 is replaced.
    Stream,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ListError<E> {
    /// The system said so.
    #[error("{0}")]
    System(#[from] io::Error),
    /// What has that name is no list.
    #[error("{0}")]
    NoFile(&'static str),
    /// It goes on and on.
    #[error("more than {} MiB", LONGEST / 1024 / 1024)]
    TooLong,
    /// A line with something else than text.
    #[error("{what}")]
    NoText {
        /// The line, from 1.
        line: usize,
        /// What is there.
        what: &'static str,
    },
    /// A word is not what it should be.
    #[error("bad word `{word}`")]
    Word {
        /// The line, from 1.
        line: usize,
        /// The word.
        word: String,
        /// Why not.
        error: E,
    },
}

impl<E> ListError<E> {
    /// Which line it is about, if it is about one.
    pub(in crate::cli) const fn line(&self) -> Option<usize> {
        match self {
            Self::NoText { line, .. } | Self::Word { line, .. } => Some(*line),
            Self::System(_) | Self::NoFile(_) | Self::TooLong => None,
        }
    }
}

/// Opens a list: `-` is standard input.
///
/// # Errors
/// What cannot be opened, and a folder, a socket, a disk or a FIFO by its name, which may never be written to.
pub(in crate::cli) fn open<E>(path: &Path) -> Result<Box<dyn Read>, ListError<E>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    // Without O_NONBLOCK this alone waits for whatever writes to a FIFO.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        // A socket as standard input cannot be opened anew.
        Err(rustix::io::Errno::NXIO) if path == Path::new("/dev/stdin") => {
            return Ok(Box::new(io::stdin().lock()));
        }
        Err(error) => return Err(io::Error::from(error).into()),
    };
    let status = rustix::fs::fstat(&file).map_err(io::Error::from)?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => return Err(io::Error::from(rustix::io::Errno::ISDIR).into()),
        FileType::BlockDevice => return Err(ListError::NoFile("a disk, not a file")),
        FileType::Fifo if !is_descriptor(path) => {
            return Err(ListError::NoFile("a FIFO, not a file"));
        }
        FileType::RegularFile
        | FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::Unknown => {}
    }
    let flags = rustix::fs::fcntl_getfl(&file).map_err(io::Error::from)?;
    rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK).map_err(io::Error::from)?;
    Ok(Box::new(std::fs::File::from(file)))
}

/// Whether the path names one of our descriptors, as that of `<(COMMAND)` does.
fn is_descriptor(path: &Path) -> bool {
    path == Path::new("/dev/stdin")
        || ["/dev/fd", "/proc/self/fd"]
            .iter()
            .any(|folder| path.parent() == Some(Path::new(folder)))
}

/// Hands over each word of a list, with its line. What is still to come of the list is never held in memory.
///
/// # Errors
/// What is wrong with the list or with a word.
pub(in crate::cli) fn words<E>(
    input: impl Read,
    format: Format,
    each: impl FnMut(&str) -> Result<(), E>,
) -> Result<(), ListError<E>> {
    at_most(LONGEST, input, format, each)
}

fn at_most<E>(
    longest: u64,
    mut input: impl Read,
    format: Format,
    mut each: impl FnMut(&str) -> Result<(), E>,
) -> Result<(), ListError<E>> {
    let mut block = vec![0; BLOCK];
    let mut pieces = Pieces {
        format,
        longest,
        line: 1,
        is_first: true,
        begun: Vec::new(),
        each: &mut each,
    };
    let mut comment = false;
    let mut total = 0u64;
    loop {
        let count = match input.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        total += count as u64;
        if format.content == Content::Text && total > longest {
            return Err(ListError::TooLong);
        }
        let mut rest = &block[..count];
        while !rest.is_empty() {
            if comment {
                let Some(end) = memchr::memchr(b'\n', rest) else {
                    break;
                };
                rest = &rest[end..];
                comment = false;
            }
            let is_end = |byte: &u8| {
                matches!(byte, b' ' | b'\t'..=b'\r' | 0x1c..=0x1f)
                    || *byte == b'#' && format.comments
            };
            let Some(end) = rest.iter().position(is_end) else {
                pieces.begin(rest)?;
                break;
            };
            pieces.end(&rest[..end])?;
            match rest[end] {
                b'#' => comment = true,
                b'\n' => pieces.line += 1,
                _ => {}
            }
            rest = &rest[end + 1..];
        }
    }
    pieces.end(&[])
}

/// What stands between ASCII white space, and may be cut by the end of a block.
struct Pieces<'a, F> {
    format: Format,
    longest: u64,
    line: usize,
    is_first: bool,
    begun: Vec<u8>,
    each: &'a mut F,
}

impl<F> Pieces<'_, F> {
    fn begin<E>(&mut self, bytes: &[u8]) -> Result<(), ListError<E>> {
        if self.format.content == Content::Text && bytes.contains(&0) {
            return Err(self.no_text("a NUL byte"));
        }
        self.begun.extend_from_slice(bytes);
        if self.begun.len() as u64 > self.longest {
            return Err(ListError::TooLong);
        }
        Ok(())
    }

    fn end<E>(&mut self, bytes: &[u8]) -> Result<(), ListError<E>>
    where
        F: FnMut(&str) -> Result<(), E>,
    {
        if self.begun.is_empty() {
            return self.hand_over(bytes);
        }
        self.begin(bytes)?;
        let begun = std::mem::take(&mut self.begun);
        self.hand_over(&begun)
    }

    /// There may be white space beyond ASCII inside.
    fn hand_over<E>(&mut self, bytes: &[u8]) -> Result<(), ListError<E>>
    where
        F: FnMut(&str) -> Result<(), E>,
    {
        if bytes.is_empty() {
            return Ok(());
        }
        let is_first = std::mem::take(&mut self.is_first);
        let text = match self.format.content {
            Content::Stream => String::from_utf8_lossy(bytes),
            Content::Text => {
                let bytes = match bytes.strip_prefix(BYTE_ORDER_MARK) {
                    Some(behind) if is_first => behind,
                    _ => bytes,
                };
                if bytes.contains(&0) {
                    return Err(self.no_text("a NUL byte"));
                }
                let text = std::str::from_utf8(bytes);
                text.map_err(|_| self.no_text("not UTF-8 text"))?.into()
            }
        };
        for word in text.split_whitespace() {
            (self.each)(word).map_err(|error| ListError::Word {
                line: self.line,
                word: word.to_owned(),
                error,
            })?;
        }
        Ok(())
    }

    fn no_text<E>(&self, what: &'static str) -> ListError<E> {
        let line = self.line;
        ListError::NoText { line, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Format = Format {
        comments: true,
        content: Content::Text,
    };

    /// Gives a fixed number of bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let (now, later) = self.0.split_at(self.1.min(self.0.len()));
            self.0 = later;
            into[..now.len()].copy_from_slice(now);
            Ok(now.len())
        }
    }

    /// The words with their lines, or why there are none.
    fn read(input: impl Read, format: Format) -> Result<String, String> {
        let mut found = Vec::new();
        let read = at_most(1 << 20, input, format, |word| {
            found.push(word.to_owned());
            match word {
                "bad" => Err(()),
                _ => Ok(()),
            }
        });
        read.map_err(|error| format!("{:?} {error}", error.line()))
            .map(|()| found.join("|"))
    }

    #[test]
    fn words_are_the_same_however_they_come() {
        let text = "n1 n2\t#n3 #\u{e9}\nn\u{e9}\u{3000}n4\r\n\u{b}n[5-6]#\n#\n\nlast";
        for step in [1, 2, 3, 7, 1000] {
            let slowly = Slowly(text.as_bytes(), step);
            assert_eq!(read(slowly, TEXT).unwrap(), "n1|n2|n\u{e9}|n4|n[5-6]|last");
        }
        let plain = Format {
            comments: false,
            ..TEXT
        };
        assert_eq!(read(&b"n1 # two\n"[..], plain).unwrap(), "n1|#|two");
    }

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        for (text, said) in [
            (&b"n1\n\nn2 bad"[..], "Some(3) bad word `bad`"),
            (b"n1\nn2\0", "Some(2) a NUL byte"),
            (b"n1\nn\xff n3\n", "Some(2) not UTF-8 text"),
            (b"\xff\xfen\x001\x00", "Some(1) a NUL byte"),
        ] {
            for step in [1, 1000] {
                assert_eq!(read(Slowly(text, step), TEXT).unwrap_err(), said);
            }
        }
        let stream = Format {
            content: Content::Stream,
            ..TEXT
        };
        assert_eq!(read(&b"a\0 \xff"[..], stream).unwrap(), "a\0|\u{fffd}");
    }

    #[test]
    fn a_byte_order_mark_in_front_is_passed_over() {
        for (text, found) in [
            ("\u{feff}n1 n2", "n1|n2"),
            ("\u{feff}\nn1", "n1"),
            ("n1 \u{feff}n2", "n1|\u{feff}n2"),
        ] {
            assert_eq!(read(Slowly(text.as_bytes(), 1), TEXT).unwrap(), found);
        }
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let stream = Format {
            content: Content::Stream,
            ..TEXT
        };
        for format in [TEXT, stream] {
            let said = read(io::repeat(b'x'), format).unwrap_err();
            assert_eq!(said, "None more than 64 MiB");
        }
        let said = read(io::repeat(b'\n'), TEXT).unwrap_err();
        assert_eq!(said, "None more than 64 MiB");
        let said = read(io::repeat(0), TEXT).unwrap_err();
        assert_eq!(said, "Some(1) a NUL byte");
    }

    #[test]
    fn folders_and_fifos_are_no_lists() {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: &Path| {
            open::<()>(path)
                .map(drop)
                .map_err(|error| error.to_string())
        };
        assert!(
            open(folder.path())
                .unwrap_err()
                .starts_with("Is a directory")
        );
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        assert_eq!(open(&fifo).unwrap_err(), "a FIFO, not a file");
        assert!(
            open(&folder.path().join("none"))
                .unwrap_err()
                .starts_with("No such file")
        );
        let mut file = super::open::<()>(Path::new("/dev/null")).unwrap();
        assert_eq!(file.read(&mut [0]).unwrap(), 0);
    }
}
