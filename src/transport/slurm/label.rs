//! What `srun --label` writes, made the tasks' own bytes again.
//!
//! Each line has its task's number in front, `3: text`. A line that is longer than 1,024 bytes comes in pieces of just
//! that length, each labelled and with a newline of srun's (srun 22.05). The first and the last line of a task are those
//! of our wrapper: they say on which node it is and how it ended.

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};

use crate::lines::LineSplitter;

/// The length of a piece that srun cuts from a longer line.
const PIECE: usize = 1024;

/// What one stream of srun says next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A task has begun on this node. Only standard output says so.
    Begun { task: u32, node: String },
    /// Bytes of a task.
    Output { task: u32, data: Bytes },
    /// A task's stream has ended; standard output also says with which status.
    Ended { task: u32, status: Option<u8> },
    /// A line of srun itself.
    Srun(String),
}

/// Puts together one stream of srun.
#[derive(Debug)]
pub(super) struct Labels {
    /// The word that only our wrapper knows.
    mark: String,
    lines: LineSplitter,
    tasks: Vec<Task>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Task {
    /// Nothing of the command has come.
    #[default]
    Fresh,
    /// The last piece was cut from a line that goes on.
    Cut,
    /// A line has come whose newline is not handed over: if the mark follows, it is the wrapper's.
    Owed,
    /// A line has come with its newline.
    Whole,
    /// The end has come.
    Over,
}

impl Labels {
    pub(super) fn new(mark: &str, tasks: usize) -> Self {
        Self {
            mark: mark.to_owned(),
            lines: LineSplitter::default(),
            tasks: vec![Task::default(); tasks],
        }
    }

    /// Takes what was read.
    pub(super) fn push(&mut self, data: &[u8], said: &mut Vec<Said>) {
        let mut lines = std::mem::take(&mut self.lines);
        let Ok(()) = lines.push(data, |line| {
            self.line(line.text, said);
            Ok::<(), Infallible>(())
        });
        self.lines = lines;
    }

    /// srun is silent: the lines that have come are whole. The wrapper writes its newline together with its mark.
    pub(super) fn pause(&mut self, said: &mut Vec<Said>) {
        for (task, state) in (0..).zip(&mut self.tasks) {
            if *state == Task::Owed {
                *state = Task::Whole;
                said.push(Said::Output {
                    task,
                    data: Bytes::from_static(b"\n"),
                });
            }
        }
    }

    /// Whether [`Labels::pause`] would say something.
    pub(super) fn owes(&self) -> bool {
        self.tasks.contains(&Task::Owed)
    }

    /// The stream has ended.
    pub(super) fn finish(&mut self, said: &mut Vec<Said>) {
        let mut lines = std::mem::take(&mut self.lines);
        let Ok(()) = lines.finish(|line| {
            self.line(line.text, said);
            Ok::<(), Infallible>(())
        });
        self.pause(said);
    }

    fn line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let Some((task, text)) = labelled(line, self.tasks.len()) else {
            said.push(Said::Srun(String::from_utf8_lossy(line).into_owned()));
            return;
        };
        let Some(state) = self.tasks.get_mut(task as usize) else {
            return;
        };
        if let Some(word) = marked(text, &self.mark) {
            match (word.split_once(' '), *state) {
                (_, Task::Over) => {}
                (Some(("begin", node)), _) => said.push(Said::Begun {
                    task,
                    node: node.to_owned(),
                }),
                (None, _) if word == "begin" => {}
                (end, _) => {
                    *state = Task::Over;
                    let status = end.and_then(|(_, status)| status.parse().ok());
                    said.push(Said::Ended { task, status });
                }
            }
            return;
        }
        let mut data = BytesMut::with_capacity(text.len() + 1);
        match *state {
            Task::Over => return,
            Task::Owed => data.put_u8(b'\n'),
            Task::Fresh | Task::Cut | Task::Whole => {}
        }
        data.extend_from_slice(text);
        *state = if text.len() == PIECE {
            Task::Cut
        } else {
            Task::Owed
        };
        if !data.is_empty() {
            said.push(Said::Output {
                task,
                data: data.freeze(),
            });
        }
    }
}

/// The task of a line and what it said: `12: text`, with blanks in front where there are tasks with more digits.
fn labelled(line: &[u8], tasks: usize) -> Option<(u32, &[u8])> {
    let digits = tasks.saturating_sub(1).to_string().len();
    let (number, rest) = line.split_at_checked(digits)?;
    let text = rest.strip_prefix(b": ")?;
    let number = std::str::from_utf8(number).ok()?.trim_start();
    Some((number.parse().ok()?, text))
}

/// What stands behind the mark, if the line begins with it.
fn marked<'a>(text: &'a [u8], mark: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(mark.as_bytes())?.strip_prefix(b" ")?;
    std::str::from_utf8(rest).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What srun makes of tasks' output, as seen with 22.05: pieces of 1,024 bytes, each line labelled.
    fn srun(task: usize, tasks: usize, output: &[u8]) -> Vec<u8> {
        let width = (tasks - 1).to_string().len();
        let mut all = Vec::new();
        let mut rest = output;
        while !rest.is_empty() {
            let line = rest.iter().position(|b| *b == b'\n');
            let end = line.unwrap_or(rest.len()).min(PIECE);
            all.extend_from_slice(format!("{task:>width$}: ").as_bytes());
            all.extend_from_slice(&rest[..end]);
            all.push(b'\n');
            let newline = usize::from(end < PIECE && rest.get(end) == Some(&b'\n'));
            rest = &rest[end + newline..];
        }
        all
    }

    fn wrapped(node: &str, output: &[u8], status: u8) -> Vec<u8> {
        let mut all = format!("MARK begin {node}\n").into_bytes();
        all.extend_from_slice(output);
        all.extend_from_slice(format!("\nMARK end {status}\n").as_bytes());
        all
    }

    fn read(labels: &mut Labels, data: &[u8], cut: usize) -> Vec<Said> {
        let mut said = Vec::new();
        let (one, two) = data.split_at(cut.min(data.len()));
        labels.push(one, &mut said);
        labels.push(two, &mut said);
        labels.finish(&mut said);
        said
    }

    fn output(said: &[Said]) -> Vec<u8> {
        let data = |said: &Said| match said {
            Said::Output { data, .. } => data.to_vec(),
            Said::Begun { .. } | Said::Ended { .. } | Said::Srun(_) => Vec::new(),
        };
        said.iter().flat_map(data).collect()
    }

    #[test]
    fn lines_of_srun_itself_are_told_apart() {
        let mut labels = Labels::new("MARK", 12);
        let text = b" 3: MARK begin n4\n11: x\nsrun: error: n4: task 3: Killed\n 3: a\n";
        let said = read(&mut labels, text, 0);
        assert_eq!(
            said[0],
            Said::Begun {
                task: 3,
                node: "n4".into()
            }
        );
        assert!(said.contains(&Said::Srun("srun: error: n4: task 3: Killed".into())));
        assert_eq!(output(&said), b"xa\n\n");
    }

    #[test]
    fn a_pause_ends_a_line() {
        let mut labels = Labels::new("MARK", 1);
        let mut said = Vec::new();
        labels.push(b"0: MARK begin n1\n0: one\n", &mut said);
        assert_eq!(output(&said), b"one");
        assert!(labels.owes());
        labels.pause(&mut said);
        assert!(!labels.owes());
        assert_eq!(output(&said), b"one\n");
        labels.push(b"0: \n0: MARK end 3\n", &mut said);
        assert_eq!(output(&said), b"one\n");
        assert_eq!(
            said.last(),
            Some(&Said::Ended {
                task: 0,
                status: Some(3)
            })
        );
    }

    proptest! {
        #[test]
        fn the_bytes_are_the_tasks_own(
            pieces in prop::collection::vec((prop::sample::select(vec![0usize, 1, 5, 1022, 1023, 1024, 1025, 2048]), any::<bool>()), 0..6),
            cut in 0usize..6000,
            status: u8,
        ) {
            let mut bytes = Vec::new();
            for (length, newline) in pieces {
                bytes.extend(std::iter::repeat_n(b'x', length));
                if newline {
                    bytes.push(b'\n');
                }
            }
            let text = srun(0, 1, &wrapped("n1", &bytes, status));
            let said = read(&mut Labels::new("MARK", 1), &text, cut);
            prop_assert_eq!(output(&said), bytes);
            let ended = Said::Ended { task: 0, status: Some(status) };
            prop_assert_eq!(said.last(), Some(&ended));
        }
    }
}
