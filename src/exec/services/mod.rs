//! Drives a walk: runs the actions it names, many at once, and tells it what became of them.

mod action;
mod commands;
mod running;
mod settings;

use std::collections::HashMap;
use std::io;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use crate::event::Stop;
use crate::exec::Requests;
use crate::exec::limiter::Limiter;
use crate::report::ServiceReporter;
use crate::service::{Graph, Walk};
use running::Run;

pub use settings::{Native, NativeAct, ServiceSettings};

/// How a service run came to its end.
#[derive(Debug)]
pub enum ServicesEnd {
    /// Every service has its status.
    Over,
    /// It was asked to stop.
    Interrupted,
    /// What was to be told could not be written.
    OutputLost(io::Error),
}

/// Runs a walk to its end.
pub async fn run_services(
    graph: &Graph,
    walk: &mut Walk<'_>,
    settings: &ServiceSettings<'_>,
    requests: Requests<'_>,
    reporter: &mut dyn ServiceReporter,
) -> ServicesEnd {
    let (notes, mut notes_seen) = mpsc::unbounded_channel();
    let mut run = Run {
        graph,
        settings,
        reporter,
        limiter: Limiter::new(settings.fanout.get()),
        notes,
        running: HashMap::new(),
        actions: FuturesUnordered::new(),
    };
    let Requests {
        stops,
        mut questions,
    } = requests;
    let mut redraw = run.reporter.redraw_every().map(tokio::time::interval);
    let mut end = ServicesEnd::Over;
    while !walk.is_over() {
        if let Err(error) = run.take_steps(walk) {
            end = ServicesEnd::OutputLost(error);
            break;
        }
        if run.actions.is_empty() {
            continue;
        }
        let told = tokio::select! {
            biased;
            Some(level) = stops.recv() => {
                end = match run.interrupt(level, walk) {
                    Ok(()) => ServicesEnd::Interrupted,
                    Err(error) => ServicesEnd::OutputLost(error),
                };
                break;
            }
            Some(note) = notes_seen.recv() => run.take_note(&note),
            Some(()) = crate::exec::asked(&mut questions) => run.reporter.asked(),
            () = crate::exec::tick(&mut redraw) => {
                run.reporter.redraw();
                Ok(())
            }
            Some(done) = run.actions.next() => run.take_end(done, walk, &mut notes_seen),
        };
        // Whatever else has happened is told before anybody waits again.
        let told = told.and_then(|()| {
            while let Ok(note) = notes_seen.try_recv() {
                run.take_note(&note)?;
            }
            Ok(())
        });
        if let Err(error) = told {
            run.stop(Stop::Terminate);
            end = ServicesEnd::OutputLost(error);
            break;
        }
    }
    match end {
        ServicesEnd::Over => match run.reporter.finish() {
            Ok(()) => ServicesEnd::Over,
            Err(error) => ServicesEnd::OutputLost(error),
        },
        ServicesEnd::Interrupted | ServicesEnd::OutputLost(_) => {
            run.wind_down(stops).await;
            end
        }
    }
}
