//! A map or an ACL: a version is prepared and filled beside what is served, read back, and served by one command.

use bytes::Bytes;

use super::{Object, Open, Seen, Talk};
use crate::event::{ErrorCode, Failure};
use crate::haproxy::answer::{self, AnswerError};
use crate::haproxy::command::Command;
use crate::haproxy::patterns::{
    self, Edit, Entries, Kind, List, Name, PatternCommand, edit_file, lists,
};

/// A map or ACL, and what is to become of it.
#[derive(Debug)]
pub struct Patterns {
    /// Which of the two.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// What is to become of it.
    pub edit: Edit,
    /// The file as it is to be, if it is to be another one.
    pub file: Bytes,
}

/// All maps or ACLs that a HAProxy has, and its process.
///
/// # Errors
/// What the transport says, and an answer that is none.
pub async fn all(talk: &mut Talk<'_>, kind: Kind) -> Result<(answer::Info, Vec<List>), Failure> {
    let command = Command::Patterns(PatternCommand::Lists(kind));
    let said = talk.ask(&command).await?;
    let read = || {
        let [info, table] = answer::parts(&said)?;
        Ok::<_, AnswerError>((answer::info(info)?, lists(table)?))
    };
    read().map_err(|error| talk.wrong(&error))
}

/// The one of that name.
#[must_use]
pub fn find<'a>(lists: &'a [List], name: &Name) -> Option<&'a List> {
    lists.iter().find(|list| {
        let by_file = list.file.as_deref() == Some(name.as_str());
        let number = name.as_str().strip_prefix('#');
        by_file || number.is_some_and(|number| number.parse() == Ok(list.id))
    })
}

/// What one of them holds.
///
/// # Errors
/// What the transport says, and an answer that is none.
pub async fn entries(
    talk: &mut Talk<'_>,
    (kind, name): (Kind, &Name),
    version: Option<u64>,
) -> Result<Entries, Failure> {
    let command = Command::Patterns(PatternCommand::Show(kind, name.clone(), version));
    let said = talk.ask(&command).await?;
    Entries::of_answer(kind, &said).map_err(|error| talk.wrong(&error))
}

impl Patterns {
    /// Sends what says one empty line for each command.
    async fn send(&self, talk: &mut Talk<'_>, command: PatternCommand) -> Result<(), Failure> {
        let count = if let PatternCommand::Add(_, _, patterns) = &command {
            patterns.len()
        } else {
            1
        };
        let said = talk.ask(&Command::Patterns(command)).await?;
        patterns::silent(&said, count).map_err(|error| talk.wrong(&error))
    }
}

impl Object for Patterns {
    type Content = Entries;
    type Staged = u64;

    fn what(&self) -> &'static str {
        self.kind.as_str()
    }

    fn name(&self) -> &str {
        self.name.as_str()
    }

    async fn look(&self, talk: &mut Talk<'_>) -> Result<Option<Seen<Entries>>, Failure> {
        let (info, lists) = all(talk, self.kind).await?;
        let Some(list) = find(&lists, &self.name) else {
            return Ok(None);
        };
        let content = entries(talk, (self.kind, &self.name), None).await?;
        let open = list.is_open().then(|| Open {
            id: list.next.to_string(),
            words: format!(
                "version {} of {} {} was prepared and is not served, with {} entries",
                list.next,
                self.kind,
                self.name,
                list.entries.saturating_sub(content.len())
            ),
        });
        Ok(Some(Seen {
            info,
            content,
            open,
        }))
    }

    fn target(&self, content: &Entries) -> Result<Entries, Failure> {
        self.edit.on(content).ok_or_else(|| {
            let Edit::Del(key) = &self.edit else {
                return Failure::new(ErrorCode::Select, format!("{}: nothing to do", self.name));
            };
            Failure::new(
                ErrorCode::Select,
                format!("{} has no entry `{}`", self.name, key.escape_debug()),
            )
        })
    }

    fn file(&self, old: &[u8]) -> Result<Bytes, Failure> {
        let edited = edit_file(self.kind, old, &self.edit).map_err(|error| {
            Failure::new(
                ErrorCode::File,
                format!("{}: {error}; --runtime-only leaves the file out", self.name),
            )
        })?;
        Ok(edited.map_or_else(|| self.file.clone(), Bytes::from))
    }

    async fn stage(&self, talk: &mut Talk<'_>, target: &Entries) -> Result<u64, Failure> {
        let prepare = PatternCommand::Prepare(self.kind, self.name.clone());
        let said = talk.ask(&Command::Patterns(prepare)).await?;
        let version = patterns::prepared(&said).map_err(|error| talk.wrong(&error))?;
        let commands = target
            .commands(&self.name, version)
            .map_err(|error| Failure::new(ErrorCode::Haproxy, format!("{}: {error}", self.name)))?;
        for command in commands {
            self.send(talk, command).await?;
        }
        let read = entries(talk, (self.kind, &self.name), Some(version)).await?;
        if read != *target {
            return Err(Failure::new(
                ErrorCode::Verify,
                format!(
                    "{}: version {version} was read back otherwise than it was written: {} entries instead of {}",
                    self.name,
                    read.len(),
                    target.len()
                ),
            ));
        }
        Ok(version)
    }

    fn open_id(&self, version: &u64) -> String {
        version.to_string()
    }

    async fn commit(&self, talk: &mut Talk<'_>, version: &u64) -> Result<(), Failure> {
        let commit = PatternCommand::Commit(self.kind, self.name.clone(), *version);
        self.send(talk, commit).await
    }

    /// There is no way to take a version back. It is served to nobody, and the next one that is committed frees it.
    async fn unstage(&self, _talk: &mut Talk<'_>, _version: &u64) -> Result<(), Failure> {
        Ok(())
    }

    async fn restore(
        &self,
        talk: &mut Talk<'_>,
        old: &Entries,
        _file: Option<&[u8]>,
    ) -> Result<(), Failure> {
        let version = self.stage(talk, old).await?;
        self.commit(talk, &version).await
    }
}
