//! Standard output that a run can let go of. A reader that does not read would keep the whole program waiting, deaf to
//! signals and to the end of its time: here nobody waits longer than the run may.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use tokio::time::Instant;

use super::signals;

/// Standard output.
#[derive(Debug)]
pub struct Outlet {
    file: File,
    /// How much may be written at once where a reader may keep us waiting; `None` where none does.
    portion: Option<usize>,
    /// When nothing is written any more.
    until: Option<Instant>,
    /// Since when a signal is there that nobody has dealt with.
    unheeded: Option<Instant>,
    /// Why nothing is written any more.
    cut: Option<Cut>,
}

/// Why not all was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// A signal of this number came while it was written.
    #[error("stopped by a signal before all of it was written")]
    Signal(u8),
    /// The run's time was over.
    #[error("the deadline passed before all of it was written")]
    Deadline,
}

impl Cut {
    /// Whether an error is one of these.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// A pipe that says it can be written to takes so much at once.
const PORTION: usize = 4096;

/// How often it is looked whether the reader reads, or somebody wants us to end.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// A signal that is not dealt with for so long came to a program that only writes.
const HEED: Duration = Duration::from_millis(300);

impl Outlet {
    /// Writes to this file.
    #[must_use]
    pub fn new(file: File) -> Self {
        let kind = fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let has_reader = !matches!(kind, Ok(FileType::RegularFile | FileType::Directory));
        Self {
            file,
            portion: has_reader.then_some(PORTION),
            until: None,
            unheeded: None,
            cut: None,
        }
    }

    /// Another run begins, after whose end nothing is written.
    pub fn end_at(&mut self, until: Option<Instant>) {
        self.until = until;
        self.cut = None;
    }

    /// Another one for the same output.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            file: self.file.try_clone()?,
            ..*self
        })
    }

    /// The file itself, for who waits in another way.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Whether writing is to go on.
    fn check(&mut self) -> io::Result<()> {
        self.cut = self.cut.or_else(|| self.reason());
        self.cut.map_or(Ok(()), |cut| Err(io::Error::other(cut)))
    }

    /// Why writing is not to go on.
    fn reason(&mut self) -> Option<Cut> {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return Some(Cut::Deadline);
        }
        let Some(number) = signals::unheeded() else {
            self.unheeded = None;
            return None;
        };
        let since = *self.unheeded.get_or_insert_with(Instant::now);
        (since.elapsed() >= HEED).then_some(Cut::Signal(number))
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.check()?;
            let Some(portion) = self.portion else {
                return self.file.write(bytes);
            };
            let mut fds = [PollFd::new(&self.file, PollFlags::OUT)];
            match poll(&mut fds, Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.file.write(&bytes[..bytes.len().min(portion)]),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn nobody_waits_for_a_reader_beyond_the_end() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut outlet = Outlet::new(File::from(std::os::fd::OwnedFd::from(writer)));
        outlet.write_all(b"fits").unwrap();
        let begun = Instant::now();
        outlet.end_at(Some(begun + Duration::from_millis(200)));
        let error = outlet.write_all(&vec![b'x'; 1 << 20]).unwrap_err();
        assert_eq!(Cut::of(&error), Some(Cut::Deadline));
        // What is cut stays cut, whoever tries again.
        outlet.until = None;
        assert!(outlet.write_all(b"more").is_err());
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(outlet);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert!(all.starts_with(b"fitsxxx") && all.len() < 1 << 20);
    }

    #[test]
    fn a_file_and_a_reader_that_reads_get_all() {
        let (mut reader, writer) = io::pipe().unwrap();
        let all = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        let mut outlet = Outlet::new(File::from(std::os::fd::OwnedFd::from(writer)));
        let bytes: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_le_bytes).collect();
        outlet.write_all(&bytes).unwrap();
        drop(outlet);
        assert!(all.join().unwrap().unwrap() == bytes);
        let mut outlet = Outlet::new(tempfile::tempfile().unwrap());
        outlet.write_all(&bytes).unwrap();
        assert_eq!(outlet.file().unwrap().metadata().unwrap().len(), 1 << 20);
    }
}
