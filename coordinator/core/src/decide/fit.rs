//! Cuts what comes from outside to what a record may hold (R7): a record that does not fit its topic, or that is nested
//! too deep to be read again, would stop the partition.

use serde::Serialize;
use tidewright_schemas::limits::{MESSAGE_BYTES_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use tidewright_schemas::{Failure, FailureInfo, TerminatedFailure, WorkerIdentity};

/// Most bytes of events and rows in one record; the rest of a message is for its key, its numbers and Kafka's framing.
pub(super) const RECORD_BYTES_MAX: usize = MESSAGE_BYTES_MAX - 512 * 1024;
/// Most bytes that the decisions of one completion may come to: half a message, so that the other half has room for the
/// largest group of buffered events.
pub(super) const DECISIONS_BYTES_MAX: usize = MESSAGE_BYTES_MAX / 2;
/// Most links of a chain of causes. Far below the depth that a JSON reader allows.
const CAUSES_MAX: usize = 32;

/// How many bytes a value takes in a record.
pub(super) fn json_bytes<T: Serialize>(value: &T) -> usize {
    // Wire types of our own always serialise: their maps have text keys.
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

/// A failure with its texts and its chain of causes cut; its details are left, whatever their size.
pub(super) fn texts(failure: &Failure) -> Failure {
    let mut fitted = failure.clone().shortened();
    let mut link = &mut fitted;
    for _ in 1..CAUSES_MAX {
        cut_names(link);
        match &mut link.cause {
            Some(cause) => link = cause,
            None => return fitted,
        }
    }
    cut_names(link);
    link.cause = None;
    fitted
}

/// A failure of at most the size of a payload, whatever it takes.
pub(super) fn failure(failure: &Failure) -> Failure {
    let mut fitted = texts(failure);
    if json_bytes(&fitted) > PAYLOAD_BYTES_MAX {
        omit_details(&mut fitted);
    }
    if json_bytes(&fitted) > PAYLOAD_BYTES_MAX {
        fitted.cause = None;
    }
    fitted
}

/// A text for people, cut to what a failure's text may be.
pub(super) fn text(text: &str) -> String {
    Failure::of(text, FailureInfo::Terminated(TerminatedFailure::default())).shortened().message
}

pub(super) fn worker(worker: &WorkerIdentity) -> WorkerIdentity {
    let mut fitted = worker.clone();
    cut(&mut fitted.identity);
    cut(&mut fitted.incarnation);
    fitted
}

fn omit_details(failure: &mut Failure) {
    let mut next = Some(failure);
    while let Some(link) = next {
        let details = match &mut link.info {
            FailureInfo::Application(application) => application.details.take(),
            FailureInfo::Canceled(canceled) => canceled.details.take(),
            FailureInfo::Timeout(timeout) => timeout.last_heartbeat_details.take(),
            _ => None,
        };
        let encoded = link.encoded_attributes.take();
        if details.or(encoded).is_some() {
            link.message.push_str(" (details omitted: too large)");
        }
        next = link.cause.as_deref_mut();
    }
}

fn cut_names(failure: &mut Failure) {
    cut(&mut failure.source);
    match &mut failure.info {
        FailureInfo::Application(application) => cut(&mut application.error_type),
        FailureInfo::Activity(activity) => {
            cut(&mut activity.activity_type);
            cut(&mut activity.activity_id);
            cut(&mut activity.identity);
        }
        FailureInfo::Server(server) => cut(&mut server.code),
        FailureInfo::Terminated(terminated) => cut(&mut terminated.identity),
        FailureInfo::Canceled(canceled) => cut(&mut canceled.identity),
        FailureInfo::Timeout(_) => {}
    }
}

fn cut(text: &mut String) {
    if text.len() > NAME_BYTES_MAX {
        let mut end = NAME_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}
