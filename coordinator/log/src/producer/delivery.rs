//! What becomes of one record.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::gate::Place;
use crate::error::{SendError, SendErrorKind};

/// Where a confirmed record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
}

/// Resolves when the record is in the log, or will not be. Dropping it changes nothing about the record.
#[derive(Debug)]
#[must_use = "a record is in the log only once its delivery says so"]
pub struct Delivery(State);

#[derive(Debug)]
enum State {
    Waiting(oneshot::Receiver<Result<Acked, SendError>>),
    Failed(SendError),
}

impl Delivery {
    pub(crate) fn failed(error: SendError) -> Self {
        Self(State::Failed(error))
    }
}

impl Future for Delivery {
    type Output = Result<Acked, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Failed(error) => Poll::Ready(Err(error.clone())),
            State::Waiting(receiver) => {
                Pin::new(receiver).poll(cx).map(|outcome| outcome.unwrap_or_else(|_| Err(producer_gone())))
            }
        }
    }
}

fn producer_gone() -> SendError {
    SendError {
        kind: SendErrorKind::Unavailable,
        message: "the producer was closed before the record was confirmed; it can be sent again".to_owned(),
    }
}

/// The other end of a [`Delivery`], in librdkafka's hands until the record is confirmed.
pub(crate) struct Pending {
    outcome: oneshot::Sender<Result<Acked, SendError>>,
    /// Frees the record's place in the buffer when it is dropped.
    _room: OwnedSemaphorePermit,
    /// Lets the next ones of its lane go when it is dropped.
    _place: Option<Place>,
}

impl Pending {
    pub(super) fn new(room: OwnedSemaphorePermit, place: Option<Place>) -> (Self, Delivery) {
        let (outcome, receiver) = oneshot::channel();
        (Self { outcome, _room: room, _place: place }, Delivery(State::Waiting(receiver)))
    }

    pub(crate) fn resolve(self, outcome: Result<Acked, SendError>) {
        // Nobody waits for it if the delivery was dropped, which is allowed.
        let _ = self.outcome.send(outcome);
    }
}
