//! Commands as streams, run by this machine's shell.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::plan::Limits;
use crate::transport::Transport;
use crate::transport::local::Local;

async fn pipe(line: &str) -> Pipe {
    let local = Local::new(&["n".into()], "n".into());
    let session = local.connect(&"n".into(), &Limits::default()).await;
    Pipe::start(&mut *session.unwrap(), "the command", line.to_owned())
}

/// All that is read, or why it is no stream.
async fn read(pipe: &mut Pipe) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    match pipe.read_to_end(&mut all).await {
        Ok(_) => Ok(all),
        Err(error) => Err(error.downcast::<Failure>().unwrap()),
    }
}

#[tokio::test]
async fn bytes_pass_unharmed_both_ways_and_so_does_their_end() {
    let bytes: Vec<u8> = (0..1_000_003u32).map(|n| (n % 251) as u8).collect();
    let pipe = pipe("cat; echo over").await;
    let (mut reading, mut writing) = tokio::io::split(pipe);
    let write = async {
        writing.write_all(&bytes).await.unwrap();
        writing.shutdown().await.unwrap();
    };
    let read = async {
        let mut all = Vec::new();
        reading.read_to_end(&mut all).await.unwrap();
        all
    };
    let ((), all) = tokio::join!(write, read);
    assert!(all == [&bytes, &b"over\n"[..]].concat());
}

#[tokio::test]
async fn a_command_without_a_word_is_no_stream() {
    let mut failed = pipe("echo no way >&2; exit 7").await;
    let failure = read(&mut failed).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::Socket);
    assert_eq!(failure.message, "the command ended with 7: no way");
    // What was said makes the end an end, whatever the status.
    let mut spoke = pipe("echo all; echo odd >&2; exit 7").await;
    assert_eq!(read(&mut spoke).await.unwrap(), b"all\n");
    let mut complains = pipe("echo odd >&2").await;
    assert!(read(&mut complains).await.is_err());
    let mut silent = pipe("true").await;
    assert_eq!(read(&mut silent).await.unwrap(), b"");
}

#[tokio::test]
async fn what_is_written_to_a_command_that_has_ended_is_no_error() {
    let mut pipe = pipe("echo gone >&2; exit 1").await;
    pipe.write_all(&[0; 1_000_000]).await.unwrap();
    let failure = read(&mut pipe).await.unwrap_err();
    assert_eq!(failure.message, "the command ended with 1: gone");
}

#[tokio::test]
async fn what_comes_before_a_mark_is_passed_over() {
    let mut marked = pipe("echo motd; printf 'go\nfirst'; cat").await;
    marked.skip_past(b"go\n", 100).await.unwrap();
    marked.write_all(b" last").await.unwrap();
    marked.shutdown().await.unwrap();
    assert_eq!(read(&mut marked).await.unwrap(), b"first last");
    let mut none = pipe("echo motd; echo why >&2; exit 91").await;
    let ended = none.skip_past(b"go\n", 100).await.unwrap_err();
    assert_eq!(ended.outcome, Outcome::Exited { status: 91 });
    assert_eq!(ended.said, "motd  why");
    let mut endless = pipe("yes").await;
    assert!(endless.skip_past(b"go\n", 1000).await.is_err());
}
