//! Cuts a stream into frames. A frame's stated length is only believed as bytes come in; one beyond the limit ends the
//! connection before anything is allocated, and all large unfinished frames together stay within a budget.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::budget::{Budget, Reservation};

const LENGTH_BYTES: usize = 4;
const READ_BYTES: usize = 16 << 10;
/// A buffer that grew beyond this for one frame is given back after it.
const KEPT_BYTES: usize = 32 << 10;
/// A buffer beyond this takes its memory from the budget.
const FREE_BYTES: usize = 64 << 10;

#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame states a length of {length} bytes, which is not between 8 and {max}")]
    Length { length: i32, max: usize },
    #[error("no memory is left for large requests: the connections' buffers hold {0} bytes already")]
    Budget(usize),
    #[error("the connection ended inside a frame")]
    CutOff,
    #[error(transparent)]
    Io(#[from] io::Error),
}

pub(crate) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    frame_bytes_max: usize,
    budget: Arc<Budget>,
    /// Held from when a frame becomes large until it has been answered.
    reservation: Option<Reservation>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(stream: R, frame_bytes_max: usize, budget: Arc<Budget>) -> Self {
        Self { stream, buffer: BytesMut::new(), frame_bytes_max, budget, reservation: None }
    }

    /// The next frame without its length; `None` when the other side is done. Nothing is lost if this is dropped early.
    pub(crate) async fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.whole_frame()? {
                return Ok(Some(frame));
            }
            if !self.fill().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::CutOff) };
            }
        }
    }

    /// Whether bytes of a further request are here.
    pub(crate) fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Waits for more bytes; false if there will be none.
    pub(crate) async fn fill(&mut self) -> Result<bool, FrameError> {
        self.reserve()?;
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// Room grows with what has come, never with what was announced.
    fn reserve(&mut self) -> Result<(), FrameError> {
        if self.buffer.capacity() - self.buffer.len() >= READ_BYTES / 4 {
            return Ok(());
        }
        let wanted = (self.buffer.len() * 2).max(READ_BYTES);
        if wanted > FREE_BYTES {
            let granted = match &mut self.reservation {
                Some(reservation) => reservation.grow_to(wanted),
                none => {
                    *none = self.budget.reserve(wanted);
                    none.is_some()
                }
            };
            if !granted {
                return Err(FrameError::Budget(self.budget.used()));
            }
        }
        self.buffer.reserve(wanted - self.buffer.len());
        Ok(())
    }

    fn whole_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        let fits = |length: &usize| (8..=self.frame_bytes_max).contains(length);
        let bytes = usize::try_from(length).ok().filter(fits);
        let bytes = bytes.ok_or(FrameError::Length { length, max: self.frame_bytes_max })?;
        if self.buffer.len() < LENGTH_BYTES + bytes {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        let frame = self.buffer.split_to(bytes).freeze();
        if bytes > KEPT_BYTES {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        Ok(Some(frame))
    }

    /// Takes note that the last frame is gone and that its memory is free again.
    pub(crate) fn frame_is_done(&mut self) {
        if self.buffer.capacity() <= FREE_BYTES {
            self.reservation = None;
        } else if let Some(reservation) = &mut self.reservation {
            reservation.shrink_to(self.buffer.capacity());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8], max: usize) -> FrameReader<&[u8]> {
        FrameReader::new(bytes, max, Arc::new(Budget::new(4 << 20)))
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    #[tokio::test]
    async fn frames_come_one_by_one() {
        let bytes = [framed(b"12345678"), framed(&[7; 600_000]), framed(b"abcdefgh")].concat();
        let mut reader = reader(&bytes, 1 << 20);
        assert_eq!(reader.next_frame().await.unwrap().unwrap(), "12345678");
        assert_eq!(reader.next_frame().await.unwrap().unwrap().len(), 600_000);
        assert_eq!(reader.next_frame().await.unwrap().unwrap(), "abcdefgh");
        assert!(reader.next_frame().await.unwrap().is_none());
        reader.frame_is_done();
        assert_eq!(reader.budget.used(), 0);
    }

    #[tokio::test]
    async fn a_claimed_length_allocates_nothing() {
        for claim in [-1, 0, 7, i32::MAX, i32::MIN] {
            let bytes = claim.to_be_bytes();
            let mut reader = reader(&bytes, 1 << 20);
            assert!(matches!(reader.next_frame().await, Err(FrameError::Length { .. })), "{claim}");
        }
        let bytes = 900_000i32.to_be_bytes();
        let mut reader = reader(&bytes, 1 << 20);
        assert!(matches!(reader.next_frame().await, Err(FrameError::CutOff)));
        assert!(reader.buffer.capacity() <= READ_BYTES * 2);
    }

    #[tokio::test]
    async fn unfinished_frames_share_a_budget_and_give_it_back() {
        let bytes = &framed(&vec![1; 3_000_000])[..2_500_000];
        let budget = Arc::new(Budget::new(2 << 20));
        let mut reader = FrameReader::new(bytes, 100 << 20, budget.clone());
        assert!(matches!(reader.next_frame().await, Err(FrameError::Budget(_))));
        drop(reader);
        assert_eq!(budget.used(), 0);
    }
}
