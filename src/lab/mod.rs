//! The lab: a fleet inside the process, for trying, practising and testing.
//!
//! Every node is a real SSH server on a loopback address of its own, `127.77.x.y`, all on one port; behind
//! it are an emulated HAProxy and a handful of commands with scripted answers. Faults are had on request.
//! The lab lives on a thread and a runtime of its own and is gone, with its files, when [`Lab`] is dropped.

mod fault;
mod files;
pub mod haproxy;
mod node;
mod server;
mod session;
mod shell;
mod socket;

use std::collections::HashMap;
use std::fs::Permissions;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PrivateKey, ssh_key};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::plan::NodeName;

pub use fault::{Fault, UnknownFault};
use files::Files;
use node::Node;
use server::Fleet;

/// The user every node knows.
pub const USER: &str = "lab";

/// Up to this many nodes each have a host key of their own; a larger fleet shares one.
const OWN_HOST_KEYS: usize = 256;

/// The most nodes: as many as [`address`] has addresses for.
const MOST: usize = 62_500;

/// Descriptors beside one per node: connections, and what the process needs otherwise.
const SPARE_DESCRIPTORS: u64 = 512;

/// How often another port is tried when a node's address has the chosen one in use.
const PORTS: usize = 16;

/// What a lab shall be.
#[derive(Debug, Clone, Default)]
pub struct LabOptions {
    /// Its nodes, each once.
    pub nodes: Vec<NodeName>,
    /// What is wrong with some of them.
    pub faults: Vec<(Fault, NodeName)>,
}

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A lab without nodes.
    #[error("the lab has no nodes")]
    Empty,
    /// More nodes than loopback addresses are set aside for.
    #[error("the lab can have at most {MOST} nodes, not {0}")]
    TooMany(usize),
    /// A node is named twice.
    #[error("node {0} is in the lab twice")]
    Twice(NodeName),
    /// A fault for a node that is not there.
    #[error("{fault} is asked for {node}, which is not in the lab")]
    NoSuchNode {
        /// What was asked for.
        fault: Fault,
        /// For whom.
        node: NodeName,
    },
    /// One descriptor per node is needed.
    #[error(
        "a lab of {nodes} nodes needs {needed} open files, and this process may have {allowed} (see `ulimit -Hn`)"
    )]
    Descriptors {
        /// How many nodes were asked for.
        nodes: usize,
        /// What they need.
        needed: u64,
        /// What there is.
        allowed: u64,
    },
    /// No listening socket.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: Ipv4Addr,
        /// What the system said.
        source: io::Error,
    },
    /// No keys.
    #[error("cannot make keys: {0}")]
    Keys(#[from] ssh_key::Error),
    /// The folder of the lab, its thread or its runtime.
    #[error("cannot set up the lab: {0}")]
    System(#[from] io::Error),
}

/// A running fleet.
#[derive(Debug)]
pub struct Lab {
    nodes: Vec<NodeName>,
    port: u16,
    files: Files,
    // Fields are dropped in order: the folder goes when nothing serves from it any more.
    running: Running,
    folder: TempDir,
}

impl Lab {
    /// Stands the fleet up. When this returns, every node listens.
    ///
    /// # Errors
    /// See [`LabError`].
    pub fn start(options: LabOptions) -> Result<Self, LabError> {
        let LabOptions { nodes, faults } = options;
        let faults = faults_by_node(&nodes, faults)?;
        allow_descriptors(nodes.len())?;
        let (port, listeners) = listen(&faults)?;

        let user_key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519)?;
        let shared_key = if nodes.len() > OWN_HOST_KEYS {
            Some(PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519)?)
        } else {
            None
        };
        let folder = tempfile::Builder::new()
            .prefix("hash-lab-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        let mut files = Files::new(folder.path(), port);
        if let Some(key) = &shared_key {
            files.every_host_key(key.public_key())?;
        }
        let mut fleet = Fleet::new(user_key.public_key().clone(), &nodes, port);
        let mut posts = Vec::new();
        for (index, ((name, faults), listener)) in
            nodes.iter().zip(faults).zip(listeners).enumerate()
        {
            let key = match &shared_key {
                Some(key) => key.clone(),
                None => PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519)?,
            };
            if shared_key.is_none() {
                files.host_key(address(index), key.public_key())?;
            }
            files.node(name, address(index));
            let key = if faults.contains(&Fault::ChangedHostKey) {
                PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519)?
            } else {
                key
            };
            let config = fleet.config(key);
            if let Some(listener) = listener {
                let node = Node::new(index, Arc::clone(name), faults);
                posts.push((listener, Arc::new(node), config));
            }
        }
        files.write(&user_key)?;
        let running = Running::start(fleet, posts)?;
        Ok(Self {
            nodes,
            port,
            files,
            running,
            folder,
        })
    }

    /// The names of the nodes.
    #[must_use]
    pub fn nodes(&self) -> &[NodeName] {
        &self.nodes
    }

    /// The port of all nodes.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The loopback address of a node, by its position.
    #[must_use]
    pub fn address(&self, index: usize) -> SocketAddrV4 {
        SocketAddrV4::new(address(index), self.port)
    }

    /// The private folder of the lab, removed with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The ssh_config file that leads to the nodes: `ssh -F FILE lb1`.
    #[must_use]
    pub fn ssh_config(&self) -> PathBuf {
        self.files.ssh_config()
    }

    /// The known_hosts file with the keys the nodes should have.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.files.known_hosts()
    }

    /// The private key that every node lets in.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.files.identity()
    }

    /// Whether the fleet still serves. It does until it is dropped, unless its thread broke down.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.is_running()
    }
}

/// The loopback address of the node at a position.
fn address(index: usize) -> Ipv4Addr {
    let octet = |number: usize| u8::try_from(number % 250).unwrap_or_default();
    Ipv4Addr::new(127, 77, octet(index / 250), 1 + octet(index))
}

/// The faults of each node, in the order of the nodes.
fn faults_by_node(
    nodes: &[NodeName],
    faults: Vec<(Fault, NodeName)>,
) -> Result<Vec<Vec<Fault>>, LabError> {
    match nodes.len() {
        0 => return Err(LabError::Empty),
        count if count > MOST => return Err(LabError::TooMany(count)),
        _ => {}
    }
    let mut positions = HashMap::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        if positions.insert(node, index).is_some() {
            return Err(LabError::Twice(Arc::clone(node)));
        }
    }
    let mut by_node = vec![Vec::new(); nodes.len()];
    for (fault, node) in faults {
        let Some(index) = positions.get(&node) else {
            return Err(LabError::NoSuchNode { fault, node });
        };
        by_node[*index].push(fault);
    }
    Ok(by_node)
}

/// Lets this process have a descriptor per node, if the hard limit has room.
fn allow_descriptors(nodes: usize) -> Result<(), LabError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let needed = nodes as u64 + SPARE_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(allowed) = limit.maximum.filter(|maximum| *maximum < needed) {
        return Err(LabError::Descriptors {
            nodes,
            needed,
            allowed,
        });
    }
    let raised = Rlimit {
        current: limit.maximum.or(Some(needed)),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(io::Error::from)?;
    Ok(())
}

/// A listener per node, all on one port; none for a node that shall refuse.
///
/// Ten thousand listeners cost a few MB and a fraction of a second. One listener on the wildcard address
/// would be cheaper and open to the network.
fn listen(faults: &[Vec<Fault>]) -> Result<(u16, Vec<Option<TcpListener>>), LabError> {
    let mut tries = 0;
    loop {
        tries += 1;
        // Held until the others have the port too, even if the first node shall refuse.
        let first = TcpListener::bind((address(0), 0)).map_err(|source| LabError::Listen {
            address: address(0),
            source,
        })?;
        let port = first.local_addr()?.port();
        let mut first = Some(first);
        let listeners: Result<Vec<_>, LabError> = faults
            .iter()
            .enumerate()
            .map(|(index, faults)| {
                let address = address(index);
                let listener = match first.take() {
                    Some(first) => Ok(first),
                    None => TcpListener::bind((address, port)),
                }
                .map_err(|source| LabError::Listen { address, source })?;
                listener.set_nonblocking(true)?;
                // A port that is bound and not listened on refuses, but so does one that is closed.
                Ok((!faults.contains(&Fault::Refuse)).then_some(listener))
            })
            .collect();
        match listeners {
            Err(LabError::Listen { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && tries < PORTS => {}
            done => return Ok((port, done?)),
        }
    }
}

/// The thread that serves, until it is dropped.
#[derive(Debug)]
struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(fleet: Fleet, posts: Vec<server::Post>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("lab".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = fleet.serve(posts) => {}
                    }
                });
                // Connections live in tasks of the SSH library; they end with the runtime.
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    fn is_running(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
