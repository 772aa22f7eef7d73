//! One connection, from its first byte to its last.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::dispatch::{self, Refusal};
use super::frame::{FrameError, FrameReader};
use crate::state::Shared;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("cannot write an answer: {0}")]
    Write(std::io::Error),
    #[error("the other side took none of its answer for {0:?}")]
    Stuck(Duration),
}

/// Answers requests until the other side is done, is idle for too long, or breaks the protocol.
pub(crate) async fn serve(
    stream: TcpStream,
    shared: &Arc<Shared>,
    stopped: &mut watch::Receiver<bool>,
) -> Result<(), ConnectionError> {
    // Answers are written whole; waiting to merge them would only delay them.
    stream.set_nodelay(true).map_err(ConnectionError::Write)?;
    let peer = stream.peer_addr().map_err(ConnectionError::Write)?.ip();
    let limits = &shared.config.limits;
    let (input, mut output) = stream.into_split();
    let mut reader = FrameReader::new(input, limits.frame_bytes_max, shared.budget.clone());
    loop {
        let frame = tokio::select! {
            frame = timeout(limits.idle_timeout, reader.next_frame()) => frame,
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
        };
        let Ok(frame) = frame else { return Ok(()) }; // idle for too long
        let frame = match frame {
            Err(error) if is_hangup(&error) => return Ok(()),
            frame => frame?,
        };
        let Some(frame) = frame else { return Ok(()) };
        let answer = tokio::select! {
            answer = dispatch::answer(shared, frame, peer, &mut reader) => answer?,
            // What is ready is still answered; what waits is given up.
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
        };
        match answer {
            dispatch::Answer::Send(bytes, _reservation) => send(&mut output, &bytes, limits.idle_timeout).await?,
            dispatch::Answer::Nothing => {}
            dispatch::Answer::Close => return Ok(()),
        }
        reader.frame_is_done();
    }
}

/// Clients end their connections without ceremony; that is nothing to warn of.
fn is_hangup(error: &FrameError) -> bool {
    matches!(error, FrameError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionReset)
}

async fn send(output: &mut (impl AsyncWrite + Unpin), bytes: &[u8], patience: Duration) -> Result<(), ConnectionError> {
    match timeout(patience, output.write_all(bytes)).await {
        Err(_) => Err(ConnectionError::Stuck(patience)),
        Ok(written) => written.map_err(ConnectionError::Write),
    }
}
