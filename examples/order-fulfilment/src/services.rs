//! What the activities need from the world, and stand-ins for it that keep everything in memory.
//!
//! Each call carries an idempotency key: an activity runs at least once, so the world has to know a repeat.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

/// Takes money and gives it back.
#[async_trait]
pub trait PaymentGateway: Send + Sync {
    /// Charges a card once for each key.
    async fn charge(&self, key: &str, card: &str, amount_cents: u64) -> Result<String, PaymentError>;
    /// Pays a charge back once for each key.
    async fn refund(&self, key: &str, transaction_id: &str, amount_cents: u64) -> Result<String, PaymentError>;
}

/// Why the gateway did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// The bank says no, and will say so again.
    #[error("the card was declined: {0}")]
    Declined(String),
    /// The gateway cannot say.
    #[error("the payment gateway is unavailable: {0}")]
    Unavailable(String),
}

/// Moves parcels.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Books a parcel once for each key.
    async fn book(&self, key: &str, address: &str, pieces: u32) -> Result<String, CarrierError>;
}

/// Why the carrier did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarrierError {
    /// Nobody delivers there.
    #[error("the address cannot be reached: {0}")]
    Unreachable(String),
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends a message once for each key.
    async fn send(&self, key: &str, to: &str, text: &str) -> Result<String, MailError>;
}

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mail server refused the message: {0}")]
pub struct MailError(pub String);

/// A gateway in memory. The card `declined` is declined; `flaky` makes the first call for each key fail; any other
/// card has money.
#[derive(Debug, Default)]
pub struct InMemoryGateway {
    calls: Mutex<BTreeMap<String, u32>>,
}

#[async_trait]
impl PaymentGateway for InMemoryGateway {
    async fn charge(&self, key: &str, card: &str, amount_cents: u64) -> Result<String, PaymentError> {
        let calls = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let count = calls.entry(key.to_owned()).or_default();
            *count += 1;
            *count
        };
        match card {
            "declined" => Err(PaymentError::Declined(format!("no cover for {amount_cents} cents"))),
            "flaky" if calls == 1 => Err(PaymentError::Unavailable("it dropped the connection".to_owned())),
            _ => Ok(format!("txn-{key}")),
        }
    }

    async fn refund(&self, key: &str, _transaction_id: &str, _amount_cents: u64) -> Result<String, PaymentError> {
        Ok(format!("refund-{key}"))
    }
}

/// A carrier in memory. It delivers everywhere but to the address `unreachable`.
#[derive(Debug, Default)]
pub struct InMemoryCarrier;

#[async_trait]
impl Carrier for InMemoryCarrier {
    async fn book(&self, key: &str, address: &str, _pieces: u32) -> Result<String, CarrierError> {
        match address {
            "unreachable" => Err(CarrierError::Unreachable(address.to_owned())),
            _ => Ok(format!("parcel-{key}")),
        }
    }
}

/// A mailer in memory: it remembers whom it wrote to.
#[derive(Debug, Default)]
pub struct InMemoryMailer {
    sent: Mutex<BTreeMap<String, String>>,
}

impl InMemoryMailer {
    /// Whom it wrote to, by key.
    #[must_use]
    pub fn sent(&self) -> BTreeMap<String, String> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Mailer for InMemoryMailer {
    async fn send(&self, key: &str, to: &str, text: &str) -> Result<String, MailError> {
        if to.is_empty() {
            return Err(MailError("no recipient".to_owned()));
        }
        tracing::debug!(to, text, "a message is sent");
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), to.to_owned());
        Ok(format!("mail-{key}"))
    }
}
