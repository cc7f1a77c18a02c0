//! Gateways that run what the program does there, two levels of them, over a simulated network.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::Notify;

use super::super::{Messages, Outbox, Routed, serve};
use super::Noted;
use crate::event::{Failure, Outcome, Stream};
use crate::gateway::{Ask, Hello, Reach};
use crate::nodeset::{NoGroups, eval_words};
use crate::plan::{Limits, NodeName};
use crate::topology::{Route, Topology};
use crate::transport::gateway::{Gateways, OpenGateways};
use crate::transport::sim::Sim;
use crate::transport::{BoxFuture, Command, Duplex, Endpoint, NodeIo, Session, Transport};

pub(super) const ROUTES: &str = "[routes]\nvm: gw[1-2]\ngw[1-2]: low\nlow: t[1-99]\n";

type Kills = Vec<(String, Arc<Notify>)>;

/// The hosts of a test: each gateway runs what the program does there.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) leaves: Arc<Sim>,
    /// What ends the gateways, each with its name.
    killed: Arc<Mutex<Kills>>,
    pub(super) begun: Arc<AtomicUsize>,
}

impl Site {
    pub(super) fn new(leaves: Sim) -> Self {
        Self {
            leaves: Arc::new(leaves),
            killed: Arc::default(),
            begun: Arc::default(),
        }
    }

    /// The transport at the root.
    pub(super) fn transport(&self) -> (Routed, Arc<Noted>) {
        let noted = Arc::new(Noted::default());
        let topology = Topology::read("f", ROUTES, "vm", &NoGroups).unwrap();
        let gateways = self.gateways(topology, Arc::clone(&noted) as _);
        (
            Routed::new(gateways, Arc::clone(&self.leaves) as _, ""),
            noted,
        )
    }

    pub(super) fn gateways(&self, topology: Topology, parent: Arc<dyn super::Parent>) -> Gateways {
        Gateways {
            topology,
            transport: Arc::new(self.clone()),
            reach: Reach::default(),
            install: None,
            lost: None,
            parent,
            open: OpenGateways::default(),
        }
    }

    pub(super) fn kill(&self, gateway: &str) {
        let killed = self.killed.lock().unwrap();
        for (name, notify) in killed.iter() {
            if name == gateway {
                notify.notify_one();
            }
        }
    }
}

impl Transport for Site {
    fn connect<'a>(
        &'a self,
        node: &'a NodeName,
        _limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Failure>> {
        let notify = Arc::new(Notify::new());
        let mut killed = self.killed.lock().unwrap();
        killed.push((node.to_string(), Arc::clone(&notify)));
        self.begun.fetch_add(1, Ordering::Relaxed);
        let host: Box<dyn Session> = Box::new(Host {
            site: self.clone(),
            name: node.to_string(),
            notify,
        });
        Box::pin(async { Ok(host) })
    }
}

/// Whom a gateway answers to: another one.
#[derive(Debug)]
struct Inner;

impl super::Parent for Inner {
    fn notice(&self, _notice: super::Notice<'_>) {}

    fn is_user(&self) -> bool {
        false
    }
}

/// A gateway that is connected to.
struct Host {
    site: Site,
    name: String,
    notify: Arc<Notify>,
}

impl Host {
    /// What `hapsh gateway` does.
    async fn program(&self, input: DuplexStream, mut output: DuplexStream) {
        let mut hello = serde_json::to_vec(&Hello::ours()).unwrap();
        hello.push(b'\n');
        output.write_all(&hello).await.unwrap();
        let mut calls = Messages::new(input);
        let Some(Ask::Sessions(setup)) = calls.next().await.unwrap() else {
            panic!("no sessions are wanted")
        };
        assert_eq!(setup.root, self.name);
        let nodes = |text: &str| eval_words(text, &NoGroups).unwrap();
        let routes = setup.routes.iter().map(|(from, to)| Route {
            from: nodes(from),
            to: nodes(to),
        });
        let topology = Topology::new(&self.name, routes.collect()).unwrap();
        let gateways = self.site.gateways(topology, Arc::new(Inner));
        let transport = Routed::new(gateways, Arc::clone(&self.site.leaves) as _, "");
        let out = Arc::new(Outbox::default());
        serve(&transport, &mut calls, output, out).await.unwrap();
    }
}

impl Session for Host {
    fn exec<'a>(&'a mut self, command: &'a Command, io: &'a mut NodeIo) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let (mut input, there) = duplex(1000);
            let (output, mut here) = duplex(1000);
            let feeding = async {
                let mut reader = command.stdin.as_ref().unwrap().reader();
                loop {
                    let data = reader.next().await.unwrap();
                    if data.is_empty() || input.write_all(&data).await.is_err() {
                        break;
                    }
                }
                drop(input);
                std::future::pending::<()>().await;
            };
            let hearing = async {
                let mut chunk = [0; 700];
                while let Ok(count @ 1..) = here.read(&mut chunk).await {
                    let data = Bytes::copy_from_slice(&chunk[..count]);
                    io.output(Stream::Out, data).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = self.program(there, output) => Outcome::OK,
                () = self.notify.notified() => Outcome::Killed { signal: "KILL".into() },
                () = feeding => unreachable!(),
                () = hearing => unreachable!(),
            }
        })
    }

    fn open<'a>(
        &'a mut self,
        _endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Duplex>, Failure>> {
        unreachable!()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}
