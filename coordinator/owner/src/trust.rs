//! Message authentication codes: task tokens, internal commands and forwards cannot be forged by whoever can write to
//! a topic (R33).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use tidewright_core::TaskToken;

type HmacSha256 = Hmac<Sha256>;

/// A cluster's key for message authentication codes.
#[derive(Clone)]
pub struct Secret {
    bytes: Vec<u8>,
    id: String,
}

/// A secret that is too short to be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret has {0} bytes; at least {min} are needed, from a good source of randomness", min = Secret::BYTES_MIN)]
pub struct ShortSecret(usize);

impl Secret {
    /// Shortest secret.
    pub const BYTES_MIN: usize = 32;

    /// Wraps the bytes of a secret.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, ShortSecret> {
        let bytes = bytes.into();
        if bytes.len() < Self::BYTES_MIN {
            return Err(ShortSecret(bytes.len()));
        }
        let digest = Sha256::new().chain_update(b"tidewright key id").chain_update(&bytes).finalize();
        Ok(Self { id: hex(&digest[..4]), bytes })
    }

    /// Names the secret without telling it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.id)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes and checks codes for one namespace.
#[derive(Debug, Clone)]
pub struct Authority {
    secret: Secret,
    scope: Vec<Vec<u8>>,
}

impl Authority {
    /// An authority for a namespace's incarnation in a cluster.
    #[must_use]
    pub fn new(secret: Secret, cluster: &str, incarnation: &str) -> Self {
        Self { secret, scope: vec![cluster.as_bytes().to_vec(), incarnation.as_bytes().to_vec()] }
    }

    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> HmacSha256 {
        // HMAC takes keys of any length.
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length, so this cannot fail")]
        let mut mac = HmacSha256::new_from_slice(&self.secret.bytes).expect("HMAC takes a key of any length");
        let scope = self.scope.iter().map(Vec::as_slice);
        for part in scope.chain([purpose.as_bytes()]).chain(parts.iter().copied()) {
            // Length first, so that no two lists of parts read the same.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    /// `<key id>.<code>` over the parts.
    pub(crate) fn sign(&self, purpose: &str, parts: &[&[u8]]) -> String {
        let code = self.mac(purpose, parts).finalize().into_bytes();
        format!("{}.{}", self.secret.id, URL_SAFE_NO_PAD.encode(&code[..16]))
    }

    /// Whether a code is ours, in constant time.
    pub(crate) fn verify(&self, purpose: &str, parts: &[&[u8]], signature: &str) -> bool {
        let Some((id, code)) = signature.split_once('.') else { return false };
        let Ok(code) = URL_SAFE_NO_PAD.decode(code) else { return false };
        id == self.secret.id && code.len() == 16 && self.mac(purpose, parts).verify_truncated_left(&code).is_ok()
    }

    /// A token as workers see it.
    #[must_use]
    pub fn seal(&self, token: &TaskToken) -> String {
        // A token is plain text and numbers, which always serialise.
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(token).unwrap_or_default());
        let signature = self.sign("token", &[body.as_bytes()]);
        format!("{body}.{signature}")
    }

    /// A token that is ours, or none.
    #[must_use]
    pub fn open(&self, sealed: &str) -> Option<TaskToken> {
        let (body, signature) = sealed.split_once('.')?;
        if !self.verify("token", &[body.as_bytes()], signature) {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use tidewright_schemas::{RunId, TaskId, TaskKind, WorkflowId};

    use super::*;

    fn authority(byte: u8, incarnation: &str) -> Authority {
        Authority::new(Secret::new(vec![byte; 32]).unwrap(), "cluster", incarnation)
    }

    fn token() -> TaskToken {
        let task =
            TaskId { kind: TaskKind::Activity, run_id: RunId::from_text("run"), scheduled_event_id: 5, attempt: 1 };
        TaskToken { workflow_id: WorkflowId::new("order-1").unwrap(), task, digest: "d".to_owned() }
    }

    #[test]
    fn a_token_opens_for_its_own_namespace_only() {
        let sealed = authority(1, "a").seal(&token());
        assert_eq!(authority(1, "a").open(&sealed), Some(token()));
        assert_eq!(authority(2, "a").open(&sealed), None);
        assert_eq!(authority(1, "b").open(&sealed), None);
    }

    #[test]
    fn a_changed_token_does_not_open() {
        let sealed = authority(1, "a").seal(&token());
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_ne!(authority(1, "a").open(&changed).as_ref(), Some(&token()), "byte {at}");
        }
        for garbage in ["", ".", "..", "a.b.c", "🦀"] {
            assert_eq!(authority(1, "a").open(garbage), None);
        }
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(Secret::new(vec![1; 31]).is_err());
    }
}
