//! OS signals as requests to stop: the first asks, the second does not.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::event::Stop;

/// What the program listens to.
const HEARD: [SignalKind; 3] = [
    SignalKind::interrupt(),
    SignalKind::terminate(),
    SignalKind::hangup(),
];

/// Which of these have come and are not dealt with yet, also while nothing runs that could deal with them.
static ARRIVED: OnceLock<[Arc<AtomicBool>; HEARD.len()]> = OnceLock::new();

fn arrived() -> &'static [Arc<AtomicBool>; HEARD.len()] {
    ARRIVED.get_or_init(|| {
        HEARD.map(|kind| {
            let flag = Arc::new(AtomicBool::new(false));
            // Where that is refused, so is the listening itself, which is told.
            let _ = signal_hook::flag::register(kind.as_raw_value(), Arc::clone(&flag));
            flag
        })
    })
}

/// The number of a signal that has come since [`Signals`] listens, and that nobody has dealt with yet.
#[must_use]
pub fn unheeded() -> Option<u8> {
    let flags = ARRIVED.get()?.iter().zip(HEARD);
    let mut come = flags.filter(|(flag, _)| flag.load(Ordering::Relaxed));
    u8::try_from(come.next()?.1.as_raw_value()).ok()
}

/// Listens for SIGINT, SIGTERM and SIGHUP for as long as it lives.
#[derive(Debug)]
pub struct Signals {
    /// What the signals ask for, one level per signal.
    pub stops: mpsc::Receiver<Stop>,
    first: Arc<AtomicU8>,
    leave: Arc<AtomicU8>,
    _listeners: JoinSet<()>,
}

impl Signals {
    /// Starts to listen. Needs a runtime.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub fn listen() -> io::Result<Self> {
        let (sender, stops) = mpsc::channel(8);
        let first = Arc::new(AtomicU8::new(0));
        let leave = Arc::new(AtomicU8::new(0));
        let mut listeners = JoinSet::new();
        for (kind, unheeded) in HEARD.into_iter().zip(arrived()) {
            let mut arrivals = signal(kind)?;
            let (sender, first) = (sender.clone(), Arc::clone(&first));
            let leave = (kind != SignalKind::interrupt()).then(|| Arc::clone(&leave));
            listeners.spawn(async move {
                while arrivals.recv().await.is_some() {
                    unheeded.store(false, Ordering::Relaxed);
                    let number = u8::try_from(kind.as_raw_value()).unwrap_or(0);
                    let again = !set(&first, number);
                    if let Some(leave) = &leave {
                        set(leave, number);
                    }
                    let level = if again { Stop::Kill } else { Stop::Terminate };
                    if sender.send(level).await.is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self {
            stops,
            first,
            leave,
            _listeners: listeners,
        })
    }

    /// The number of the first signal that came.
    #[must_use]
    pub fn first(&self) -> Option<u8> {
        read(&self.first)
    }

    /// The number of the first signal that came and was more than an interrupt.
    #[must_use]
    pub fn leave(&self) -> Option<u8> {
        read(&self.leave)
    }

    /// What came so far is dealt with: the next signal is a first one again.
    pub fn forget(&mut self) {
        while self.stops.try_recv().is_ok() {}
        self.first.store(0, Ordering::Relaxed);
    }
}

/// Sets a number unless one is there; whether it did.
fn set(to: &AtomicU8, number: u8) -> bool {
    to.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok()
}

fn read(from: &AtomicU8) -> Option<u8> {
    Some(from.load(Ordering::Relaxed)).filter(|number| *number != 0)
}
