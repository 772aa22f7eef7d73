//! Values of the user's to payloads and back, within the size that one payload may have.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{Payload, PayloadError};

/// Why a value cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsendable {
    #[error("{0}")]
    NotSerializable(PayloadError),
    #[error("it takes {0} bytes, and at most {PAYLOAD_BYTES_MAX} are allowed; store it elsewhere and pass a reference")]
    TooLarge(usize),
}

impl Unsendable {
    /// The failure's type, for instance `ResultTooLarge`.
    pub(crate) fn error_type(&self, what: &str) -> String {
        match self {
            Self::NotSerializable(_) => format!("{what}NotSerializable"),
            Self::TooLarge(_) => format!("{what}TooLarge"),
        }
    }
}

pub(crate) fn to_payload<T: Serialize>(value: &T) -> Result<Payload, Unsendable> {
    let payload = Payload::new(value).map_err(Unsendable::NotSerializable)?;
    match payload.size() {
        size if size > PAYLOAD_BYTES_MAX => Err(Unsendable::TooLarge(size)),
        _ => Ok(payload),
    }
}

/// A missing payload is the JSON `null`.
pub(crate) fn from_payload<T: DeserializeOwned>(payload: Option<&Payload>) -> Result<T, PayloadError> {
    payload.map_or_else(|| Payload::null().read(), Payload::read)
}
