//! Sessions: whatever the caller does on the nodes.

use std::fs::File;
use std::sync::Arc;

use tokio::io::Stdin;
use tokio::sync::mpsc;

use super::{below, nodes, ssh};
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::resolve::Invocation;
use crate::event::Stop;
use crate::gateway::session::{Reply, Setup};
use crate::plan::NodeName;
use crate::transport::gateway::{Messages, Notice, Outbox, Parent, Routed, serve as hand_out};
use crate::transport::local::Local;
use crate::transport::{Transport, raise_file_limit};

/// Hands out sessions until the caller is gone.
pub(super) async fn serve(
    setup: Setup,
    here: (Invocation<'_>, &Console),
    out: File,
    (mut calls, signals): (Messages<Stdin>, &mut mpsc::Receiver<Stop>),
) -> Result<u8, CliError> {
    let Setup {
        root,
        routes,
        reach,
        install,
        nodes: all,
    } = setup;
    // Each session is a descriptor. How many there are is the caller's to decide.
    let _ = raise_file_limit();
    let outbox = Arc::new(Outbox::default());
    let ssh = ssh(&reach, here)?;
    let leaves: Arc<dyn Transport> = match all.as_deref().filter(|_| reach.local) {
        None => Arc::clone(&ssh),
        Some(all) => {
            let names: Vec<NodeName> = nodes(all)?.iter().map(NodeName::from).collect();
            Arc::new(Local::new(&names, all.to_owned()))
        }
    };
    let upward = Arc::new(Upward(Arc::clone(&outbox)));
    let gateways = below((&root, &routes), (reach, install), ssh, upward)?;
    let transport: Arc<dyn Transport> = match gateways {
        None => leaves,
        Some(gateways) => Arc::new(Routed::new(gateways, leaves, &all.unwrap_or_default())),
    };
    let out = tokio::fs::File::from_std(out);
    tokio::select! {
        served = hand_out(&*transport, &mut calls, out, outbox) => {
            served.map(|()| 0).map_err(super::bad)
        }
        // The caller sees that its sessions are lost.
        Some(_) = signals.recv() => Ok(143),
    }
}

/// The caller hears of gateways further down.
#[derive(Debug)]
struct Upward(Arc<Outbox>);

impl Parent for Upward {
    fn notice(&self, notice: Notice<'_>) {
        match notice {
            Notice::Failed { gateway, message } => self.0.push(&Reply::Failed {
                gateway: gateway.to_owned(),
                message: message.to_owned(),
            }),
            // A session that cannot be made says so itself.
            Notice::Rerouting { .. } | Notice::NoRoute { .. } => {}
        }
    }

    fn is_user(&self) -> bool {
        false
    }
}
