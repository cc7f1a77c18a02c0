//! One connection: name to address, stream, handshake, login, with a timer over every phase.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use russh::client;
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use super::auth::Login;
use super::clock::{Elapsed, Left};
use super::connection::{Connection, through};
use super::errors::{self, Attempt};
use super::guard::{Guarded, Kill, Link};
use super::handler::Handler;
use super::missing;
use super::proxy::Proxy;
use super::shared::Shared;
use super::target::{Route, Target, hop_names};
use super::user_config::{AddressFamily, Hop};
use crate::event::{ErrorCode, Failure};
use crate::plan::Limits;
use crate::trace::Trace;
use crate::transport::{BoxFuture, Duplex};

/// How often a connection that was closed before the banner is tried again.
const RETRIES: u32 = 3;

/// Where connections to hops come from.
pub(super) trait Hops: Send + Sync {
    /// The connection to the last of some hops.
    fn hop<'a>(
        &'a self,
        way: &'a Arc<[Hop]>,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Arc<Connection>, Failure>>;
}

/// Connects and logs in. What was closed before the banner is tried again: nothing was run yet.
pub(super) async fn connect(
    (shared, hops): (&Arc<Shared>, &dyn Hops),
    target: Arc<Target>,
    limits: &Limits,
) -> Result<Connection, Failure> {
    let mut connecting = Left::new(target.settings.connect_timeout.or(limits.connect));
    let mut retry = 0;
    loop {
        match attempt((shared, hops), &target, limits, &mut connecting).await {
            Ok(connection) => return Ok(connection),
            Err(attempt) if attempt.again && retry < RETRIES => {
                let pause = back_off(retry);
                if connecting.left().is_some_and(|left| left <= pause) {
                    return Err(attempt.failure);
                }
                retry += 1;
                let why = &attempt.failure;
                shared.settings.trace.full(&target.node, || {
                    format!("{why}; trying again in {:.1}s", pause.as_secs_f64())
                });
                let wait = tokio::time::sleep(pause);
                let _ = connecting.spend(&shared.questions.asking, wait).await;
            }
            Err(attempt) => {
                let mut failure = attempt.failure;
                if retry > 0 {
                    failure
                        .message
                        .push_str(&format!("; tried {} times", retry + 1));
                }
                return Err(failure);
            }
        }
    }
}

/// 0.1 to 0.3 s, then twice and four times that.
fn back_off(retry: u32) -> Duration {
    use std::hash::{BuildHasher, Hasher};
    // Seeded anew for each state, which is all the randomness this needs.
    let random = std::hash::RandomState::new().build_hasher().finish();
    Duration::from_millis((100 + random % 200) << retry)
}

async fn attempt(
    (shared, hops): (&Arc<Shared>, &dyn Hops),
    target: &Arc<Target>,
    limits: &Limits,
    connecting: &mut Left,
) -> Result<Connection, Attempt> {
    // A hop has limits of its own, and is connected before this handshake counts against its peer.
    let hop = match &target.route {
        Route::Jump(jump) => Some(hops.hop(jump, limits).await?),
        Route::Direct | Route::Command(_) => None,
    };
    let place = shared.handshakes.pass(&target.peer).await;
    let asking = &shared.questions.asking;

    let stream = stream(shared, target, hop.as_deref(), *connecting);
    let stream = match connecting.spend(asking, stream).await {
        Ok(stream) => stream?,
        Err(Elapsed(after)) => {
            let settings = &target.settings;
            return Err(errors::connect_timeout(&settings.host, settings.port, after).into());
        }
    };
    let link = Arc::new(Link::default());
    // From here on, whatever drops this future drops the switch, which ends russh's task and the stream.
    let kill = Kill(Arc::clone(&link));
    let guarded = Guarded::new(stream, Arc::clone(&link));
    let handler = Handler {
        shared: Arc::clone(shared),
        target: Arc::clone(target),
        link: Arc::clone(&link),
    };
    let handshake = client::connect_stream(Arc::clone(&target.config), guarded, handler);
    let mut handle = match connecting.spend(asking, handshake).await {
        Ok(handle) => handle.map_err(|error| errors::handshake(error, &link))?,
        Err(Elapsed(after)) => return Err(errors::handshake_timeout(&link, after).into()),
    };
    let login = Login {
        handle: &mut handle,
        target,
        link: &link,
        keys: &shared.keys,
        questions: &shared.questions,
        trace: &shared.settings.trace,
        left: Left::new(limits.authenticate),
    };
    if let Err(mut failure) = login.run().await {
        let way = shared.settings.ssh_way;
        missing::name_master(&mut failure, &target.settings, way).await;
        return Err(failure.into());
    }
    drop(place);
    Ok(Connection {
        handle,
        link,
        target: Arc::clone(target),
        _hop: hop,
        _kill: kill,
    })
}

/// The stream to the node, by the route the configuration wants.
async fn stream(
    shared: &Shared,
    target: &Target,
    hop: Option<&Connection>,
    left: Left,
) -> Result<Box<dyn Duplex>, Attempt> {
    let settings = &target.settings;
    match (&target.route, hop) {
        (Route::Command(command), _) => {
            let trace = &shared.settings.trace;
            trace.full(&target.node, || {
                format!("connecting by the command {command}")
            });
            let shell = shared.shell();
            let proxy = Proxy::start(shell, command).map_err(|error| {
                let why = errors::reason(&error);
                Failure::new(
                    ErrorCode::Connect,
                    format!("cannot start ProxyCommand with {shell}: {why}"),
                )
            })?;
            Ok(Box::new(proxy))
        }
        (Route::Jump(hops), Some(hop)) => {
            let trace = &shared.settings.trace;
            trace.full(&target.node, || {
                format!("connecting through {}", hop_names(hops))
            });
            Ok(through(hop, &settings.host, settings.port).await?)
        }
        (Route::Jump(_) | Route::Direct, _) => {
            Ok(Box::new(tcp(target, left, &shared.settings.trace).await?))
        }
    }
}

/// Connects a socket, trying the addresses of the name in turn. Each gets its share of the time, so that one
/// that swallows everything does not hide the others.
async fn tcp(target: &Target, left: Left, trace: &Trace) -> Result<TcpStream, Failure> {
    let settings = &target.settings;
    let (host, port) = (settings.host.as_str(), settings.port);
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![(address, port).into()],
        Err(_) => lookup_host((host, port))
            .await
            .map_err(|error| errors::resolve(host, Some(&error)))?
            .collect(),
    };
    let mut addresses: Vec<SocketAddr> = addresses
        .into_iter()
        .filter(|address| match settings.address_family {
            AddressFamily::Any => true,
            AddressFamily::Inet => address.is_ipv4(),
            AddressFamily::Inet6 => address.is_ipv6(),
        })
        .collect();
    addresses.dedup();
    let mut last = errors::resolve(host, None);
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for (address, remaining) in addresses.into_iter().zip((1..=count).rev()) {
        trace.full(&target.node, || format!("connecting to {address}"));
        let connecting = socket(target, address);
        let share = left.left().filter(|_| remaining > 1);
        let connected = match share {
            Some(left) => tokio::time::timeout(left / count, connecting).await,
            None => Ok(connecting.await),
        };
        match connected {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = errors::tcp(&error, host, port),
            Err(_) => last = errors::tcp(&io::ErrorKind::TimedOut.into(), host, port),
        }
    }
    Err(last)
}

async fn socket(target: &Target, address: SocketAddr) -> io::Result<TcpStream> {
    let settings = &target.settings;
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    socket.set_keepalive(settings.tcp_keep_alive)?;
    if let Some(name) = &settings.bind_interface {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    if let Some(own) = &settings.bind_address {
        let own: IpAddr = own
            .parse()
            .map_err(|_| io::Error::other(format!("BindAddress {own} is not an address")))?;
        socket.bind((own, 0).into())?;
    }
    socket.connect(address).await
}
