//! A command on this machine in the middle of a session with others.

use std::process::ExitStatus;

use crate::terminal::signals::Signals;

/// Runs a command here. It has the terminal, and with it Ctrl-C; only a signal that means ourselves ends it from outside.
///
/// # Errors
/// When it cannot be started.
pub(in crate::cli) async fn run_here(
    command: &str,
    nodes: &str,
    signals: &mut Signals,
) -> std::io::Result<Option<ExitStatus>> {
    let mut child = tokio::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .env("HASH_NODES", nodes)
        .kill_on_drop(true)
        .spawn()?;
    loop {
        tokio::select! {
            status = child.wait() => {
                signals.forget();
                return status.map(Some);
            }
            Some(_) = signals.stops.recv() => {
                if signals.leave().is_some() {
                    child.kill().await?;
                    return Ok(None);
                }
            }
        }
    }
}
