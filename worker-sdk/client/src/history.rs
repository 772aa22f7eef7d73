//! Pages of a run's history, for workers that do not hold the run.

use std::time::Duration;

use tidewright_schemas::api::HistoryPage;
use tidewright_schemas::{EventId, HistoryEvent};

use crate::http::chain;

const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Why a history could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The node cannot be asked.
    #[error("{url} cannot be read: {message}")]
    Unavailable {
        /// What was asked for.
        url: String,
        /// What happened.
        message: String,
    },
    /// The node does not have what is wanted.
    #[error("{url} has no event {event_id}")]
    Ends {
        /// What was asked for.
        url: String,
        /// What is missing.
        event_id: EventId,
    },
}

/// Reads histories from the URLs that workflow tasks name.
#[derive(Debug, Clone)]
pub struct HistoryPages {
    http: reqwest::Client,
}

impl HistoryPages {
    pub(crate) fn new(http: reqwest::Client) -> Self {
        Self { http }
    }

    /// The events from `from` up to, but not including, `until`.
    #[must_use]
    pub fn range<'u>(&self, history_url: &'u str, from: EventId, until: EventId) -> HistoryRange<'u> {
        HistoryRange { http: self.http.clone(), history_url, next: from, until }
    }
}

/// A part of a history, page by page.
#[derive(Debug)]
pub struct HistoryRange<'u> {
    http: reqwest::Client,
    history_url: &'u str,
    next: EventId,
    until: EventId,
}

impl HistoryRange<'_> {
    /// The next page; none when all has been read.
    pub async fn next(&mut self) -> Result<Option<Vec<HistoryEvent>>, HistoryError> {
        if self.next >= self.until {
            return Ok(None);
        }
        let separator = if self.history_url.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}from_event_id={}", self.history_url, self.next);
        let mut events = self.fetch(&url).await?.events;
        events.retain(|event| (self.next..self.until).contains(&event.event_id));
        match events.last() {
            Some(last) if events[0].event_id == self.next => {
                self.next = last.event_id + 1;
                Ok(Some(events))
            }
            _ => Err(HistoryError::Ends { url, event_id: self.next }),
        }
    }

    async fn fetch(&self, url: &str) -> Result<HistoryPage, HistoryError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.fetch_once(url).await {
                Ok(page) => return Ok(page),
                Err(_) if tries < TRIES => tokio::time::sleep(RETRY_DELAY * tries).await,
                Err(message) => return Err(HistoryError::Unavailable { url: url.to_owned(), message }),
            }
        }
    }

    async fn fetch_once(&self, url: &str) -> Result<HistoryPage, String> {
        let response = self.http.get(url).timeout(PAGE_TIMEOUT).send().await.map_err(|e| chain(&e))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|e| chain(&e))?;
        if !status.is_success() {
            let text: String = String::from_utf8_lossy(&body).chars().take(300).collect();
            return Err(format!("{status}: {text}"));
        }
        serde_json::from_slice(&body).map_err(|e| format!("the page cannot be read: {e}"))
    }
}
