//! The settings of a service run, and native actions.

use std::num::NonZeroUsize;

use futures_util::future::LocalBoxFuture;
use tokio::sync::mpsc;

use crate::event::{Stop, Summary};
use crate::plan::{Limits, Plan};
use crate::report::{ActionLog, Scratch};
use crate::service::ActionId;
use crate::transport::Transport;

/// The settings of a service run.
pub struct ServiceSettings<'a> {
    /// How local processes are run.
    pub here: &'a dyn Transport,
    /// How nodes are reached.
    pub remote: &'a dyn Transport,
    /// How native actions are done.
    pub native: &'a dyn Native,
    /// The fanout of actions that set none.
    pub fanout: NonZeroUsize,
    /// Time limits but that of the command, which each action has of its own.
    pub limits: Limits,
    /// Whether to run nothing.
    pub dry_run: bool,
    /// Where output goes that outgrows memory.
    pub scratch: &'a Scratch,
}

impl std::fmt::Debug for ServiceSettings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceSettings")
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

/// Does native actions, each on all of its nodes: a change has steps that look at all of them.
pub trait Native {
    /// Does one action and tells its log, as a dispatch would.
    fn perform<'a>(&'a self, action: ActionId, act: NativeAct<'a>) -> LocalBoxFuture<'a, Summary>;
}

/// With what a native action is done.
pub struct NativeAct<'a> {
    /// The nodes.
    pub plan: &'a Plan,
    /// How they are reached.
    pub transport: &'a dyn Transport,
    /// How hard to stop.
    pub stops: &'a mut mpsc::Receiver<Stop>,
    /// What is told.
    pub log: &'a mut ActionLog,
}

impl std::fmt::Debug for NativeAct<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeAct")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}
