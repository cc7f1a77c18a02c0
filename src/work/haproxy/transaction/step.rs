//! The steps of a replacement on one node.

use std::sync::Arc;

use super::{Committed, NodeFile, Object, Site, State, Talk, Transaction};
use crate::event::{ErrorCode, Failure, NodeId, Outcome};
use crate::transport::{BoxFuture, NodeIo, Session};
use crate::work::Work;
use crate::work::haproxy::patterns::no_such;
use crate::work::haproxy::unless_stopped;

/// What is done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reads what is served, and the file.
    Look,
    /// Puts the new content beside the old one, the file's and HAProxy's, and reads it back.
    Stage,
    /// Lets it be served, and reads that back.
    Commit,
    /// Reads all once more.
    Prove,
    /// Lets the old content be served again where the new one may be.
    Undo,
    /// Takes away what was staged and is not needed.
    Clean,
}

/// One step on all nodes it is asked for.
#[derive(Debug)]
pub struct Step<'a, O: Object> {
    /// The replacement.
    pub transaction: &'a Transaction<O>,
    /// What is done.
    pub phase: Phase,
}

impl<O: Object> Work for Step<'_, O> {
    fn serve<'a>(
        &'a self,
        node: NodeId,
        session: &'a mut dyn Session,
        io: &'a mut NodeIo,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let own = io.clone();
            let done = if self.phase == Phase::Look {
                // What only reads may be stopped at any time.
                unless_stopped(&mut io.stop, self.transaction.look(node, session, &own)).await
            } else {
                let phase = self.phase;
                self.transaction.go_on(phase, node, session, &own).await
            };
            done.map_or_else(Outcome::Failed, |()| Outcome::OK)
        })
    }
}

impl<O: Object> Transaction<O> {
    async fn look(
        &self,
        node: NodeId,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        let mut sites = Vec::new();
        for place in self.sockets.on(&self.names[node.index()])? {
            let endpoint = self.asker.find(session, place.endpoints).await?;
            let mut talk = self.talk(session, endpoint);
            let Some(seen) = self.object.look(&mut talk).await? else {
                continue;
            };
            if seen.info.stopping {
                let text = format!("{endpoint}: a process of before a reload answered; try again");
                return Err(Failure::new(ErrorCode::Haproxy, text));
            }
            let target = self.object.target(&seen.content)?;
            sites.push(Site {
                label: place.label.map(Arc::from),
                endpoint: endpoint.clone(),
                seen,
                target: Some(target),
                staged: None,
                committed: Committed::No,
                after: None,
            });
        }
        if sites.is_empty() {
            return Err(no_such(self.object.what(), self.object.name()));
        }
        let file = match self.with_file {
            true => {
                let make = |old: &[u8]| self.object.file(old);
                Some(NodeFile::read(session, io, self.object.name(), make).await?)
            }
            false => None,
        };
        *self.nodes[node.index()].lock().await = Some(State { sites, file });
        Ok(())
    }

    fn talk<'a>(
        &'a self,
        session: &'a mut dyn Session,
        endpoint: &'a crate::transport::Endpoint,
    ) -> Talk<'a> {
        Talk::new(&self.asker, session, endpoint)
    }

    async fn go_on(
        &self,
        phase: Phase,
        node: NodeId,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        let mut state = self.nodes[node.index()].lock().await;
        let Some(state) = state.as_mut() else {
            return Ok(());
        };
        match phase {
            Phase::Look => Ok(()),
            Phase::Stage => self.stage(state, session, io).await,
            Phase::Commit => self.commit(state, session, io).await,
            Phase::Prove => self.prove(state, session, io).await,
            Phase::Undo => self.undo(state, session, io).await,
            Phase::Clean => self.clean(state, session, io).await,
        }
    }

    async fn stage(
        &self,
        state: &mut State<O>,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        // Who may not write the file is told before HAProxy is asked for anything.
        if let Some(file) = state.file.as_mut().filter(|file| file.needs_change()) {
            file.put(session, io).await?;
        }
        for site in state.sites.iter_mut().filter(|site| !site.is_well()) {
            let Some(target) = &site.target else { continue };
            let mut talk = self.talk(session, &site.endpoint);
            site.staged = Some(self.object.stage(&mut talk, target).await?);
        }
        Ok(())
    }

    async fn commit(
        &self,
        state: &mut State<O>,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        for site in &state.sites {
            self.is_as_staged(site, session).await?;
        }
        if let Some(file) = &mut state.file {
            file.swap(session, io).await?;
        }
        for site in &mut state.sites {
            let Some(staged) = &site.staged else { continue };
            let mut talk = self.talk(session, &site.endpoint);
            site.committed = Committed::Unknown;
            self.object.commit(&mut talk, staged).await?;
            self.read_back(site, session).await?;
        }
        Ok(())
    }

    /// Whether nobody has done anything since it was staged: same process, same content, nothing begun but ours.
    async fn is_as_staged(&self, site: &Site<O>, session: &mut dyn Session) -> Result<(), Failure> {
        let wrong = |text: String| {
            Err(Failure::new(
                ErrorCode::Verify,
                format!("{text}; nothing was changed there"),
            ))
        };
        let name = self.object.name();
        let mut talk = self.talk(session, &site.endpoint);
        let Some(now) = self.object.look(&mut talk).await? else {
            return wrong(format!("{name} is gone"));
        };
        if now.info.is_other_than(&site.seen.info) || now.info.stopping {
            return wrong("HAProxy was reloaded or restarted meanwhile".to_owned());
        }
        if now.content != site.seen.content {
            return wrong(format!("somebody else changed {name} meanwhile"));
        }
        let own = site
            .staged
            .as_ref()
            .map(|staged| self.object.open_id(staged));
        let open = now.open.as_ref().map(|open| &open.id);
        let before = site.seen.open.as_ref().map(|open| &open.id);
        match (own.as_ref(), open) {
            (Some(own), Some(open)) if own == open => Ok(()),
            (None, open) if open == before => Ok(()),
            (_, Some(_)) => {
                let words = now.open.map(|open| open.words).unwrap_or_default();
                wrong(format!("somebody else began a change of {name}: {words}"))
            }
            (_, None) => wrong(format!("what was staged for {name} is gone")),
        }
    }

    /// Reads what is served now, and keeps it.
    async fn read_back(
        &self,
        site: &mut Site<O>,
        session: &mut dyn Session,
    ) -> Result<(), Failure> {
        let mut talk = self.talk(session, &site.endpoint);
        let Some(now) = self.object.look(&mut talk).await? else {
            let text = format!("{} is gone", self.object.name());
            return Err(Failure::new(ErrorCode::Verify, text));
        };
        let is_reloaded = now.info.is_other_than(&site.seen.info);
        if now.info.stopping {
            let text = "a process of before a reload answered: what is served is not known";
            return Err(Failure::new(ErrorCode::Verify, text));
        }
        let is_well = Some(&now.content) == site.target.as_ref();
        site.after = Some(now.content);
        match (is_well, is_reloaded) {
            (true, _) => {
                if site.committed == Committed::Unknown {
                    site.committed = Committed::Yes;
                }
                Ok(())
            }
            (false, true) => Err(Failure::new(
                ErrorCode::Verify,
                "HAProxy was reloaded or restarted meanwhile and does not serve the new content",
            )),
            (false, false) => Err(Failure::new(
                ErrorCode::Verify,
                format!(
                    "{} was read back otherwise than it was written",
                    self.object.name()
                ),
            )),
        }
    }

    async fn prove(
        &self,
        state: &mut State<O>,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        for site in &mut state.sites {
            self.read_back(site, session).await?;
        }
        match &mut state.file {
            Some(file) => file.prove(session, io).await,
            None => Ok(()),
        }
    }

    async fn undo(
        &self,
        state: &mut State<O>,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        let old = match &state.file {
            Some(file) if file.is_swapped() => Some(file.old(session, io).await?),
            _ => None,
        };
        if let Some(file) = &mut state.file {
            file.back(session, io).await?;
        }
        for site in &mut state.sites {
            if !matches!(site.committed, Committed::Yes | Committed::Unknown) {
                continue;
            }
            let mut talk = self.talk(session, &site.endpoint);
            let now = self.object.look(&mut talk).await?;
            if now.is_none_or(|now| now.content != site.seen.content) {
                let before = &site.seen.content;
                self.object
                    .restore(&mut talk, before, old.as_deref())
                    .await?;
            }
            let now = self.object.look(&mut talk).await?;
            site.after = now.map(|now| now.content);
            if site.after.as_ref() != Some(&site.seen.content) {
                let text = format!(
                    "{}: the old content could not be restored",
                    self.object.name()
                );
                return Err(Failure::new(ErrorCode::Verify, text));
            }
            site.committed = Committed::Restored;
        }
        Ok(())
    }

    async fn clean(
        &self,
        state: &mut State<O>,
        session: &mut dyn Session,
        io: &NodeIo,
    ) -> Result<(), Failure> {
        for site in &mut state.sites {
            if let (Committed::No, Some(staged)) = (site.committed, site.staged.take()) {
                let mut talk = self.talk(session, &site.endpoint);
                self.object.unstage(&mut talk, &staged).await?;
            }
        }
        match &mut state.file {
            Some(file) => file.drop(session, io).await,
            None => Ok(()),
        }
    }
}
