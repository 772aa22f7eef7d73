//! Who waits for a partition's visible end to move, or for a journal to be synced. A move wakes all of them; a waiter looks again and waits on if it was not enough.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::sync;

#[derive(Default)]
pub(crate) struct Waiters(Mutex<Vec<Arc<Notify>>>);

impl Waiters {
    /// Looks now and after every move until there is something to see.
    pub(crate) async fn until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        if let Some(seen) = look() {
            return seen;
        }
        let waiter = Arc::new(Notify::new());
        let _entered = Entered::new(self, &waiter);
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            waiter.notified().await;
        }
    }

    /// A waiter enters before it looks, so that no append falls between its look and its wait.
    pub(crate) fn enter(&self, waiter: &Arc<Notify>) {
        sync::lock(&self.0).push(waiter.clone());
    }

    pub(crate) fn leave(&self, waiter: &Arc<Notify>) {
        let mut waiters = sync::lock(&self.0);
        if let Some(at) = waiters.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            waiters.swap_remove(at);
        }
    }

    /// `notify_one` leaves a permit for a waiter that is between its look and its wait.
    pub(crate) fn wake(&self) {
        for waiter in sync::lock(&self.0).iter() {
            waiter.notify_one();
        }
    }
}

/// A waiter that is in the list for as long as this lives.
pub(crate) struct Entered<'a> {
    waiters: &'a Waiters,
    waiter: &'a Arc<Notify>,
}

impl<'a> Entered<'a> {
    pub(crate) fn new(waiters: &'a Waiters, waiter: &'a Arc<Notify>) -> Self {
        waiters.enter(waiter);
        Self { waiters, waiter }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.waiters.leave(self.waiter);
    }
}
