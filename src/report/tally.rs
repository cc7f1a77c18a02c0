//! A form of output for tests: how many bytes each node said. One file and one row of [`super::formats::FORMATS`].

use std::io::{self, Write};

use super::format::{Audience, Format, Switch};
use super::reporter::Reporter;
use crate::event::{Event, Summary};

pub(super) const TALLY: Format = Format {
    name: "tally",
    about: "How much each node says",
    switch: Some(Switch {
        long: "tally",
        short: None,
        about: "Count bytes",
    }),
    audience: Audience::PeopleAtOnce,
    make: |parts| Box::new(Tally(parts.out, 0)),
};

struct Tally<W>(W, usize);

impl<W: Write> Reporter for Tally<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        if let Event::Output { data, .. } = event {
            self.1 += data.len();
        }
        Ok(())
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        writeln!(
            self.0,
            "{} bytes of {} nodes",
            self.1,
            summary.outcomes.len()
        )
    }
}
