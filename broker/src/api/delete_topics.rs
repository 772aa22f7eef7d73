//! DeleteTopics. Files are removed on a thread of their own.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use super::{code, lookup, text};
use crate::log::journal_sync::Mark;
use crate::state::Shared;

pub(crate) async fn handle(shared: &Arc<Shared>, request: DeleteTopicsRequest, version: i16) -> DeleteTopicsResponse {
    let wanted = match version {
        6.. => request.topics,
        _ => request.topic_names.into_iter().map(|name| DeleteTopicState::default().with_name(Some(name))).collect(),
    };
    let deleting = tokio::task::spawn_blocking({
        let shared = shared.clone();
        move || wanted.into_iter().map(|wanted| delete(&shared, wanted, version)).collect::<Vec<_>>()
    });
    // Only a broker that is being dropped cancels its threads.
    let Ok(deleted) = deleting.await else { return DeleteTopicsResponse::default() };
    let mut results = Vec::with_capacity(deleted.len());
    for (result, mark) in deleted {
        results.push(match shared.coordinator.synced(mark).await {
            Ok(()) => result,
            // Offsets of the topic may come back with the next start.
            Err(_) => result.with_error_code(ResponseError::KafkaStorageError.code()),
        });
    }
    DeleteTopicsResponse::default().with_responses(results)
}

/// With what must be synced before it is answered.
fn delete(shared: &Shared, wanted: DeleteTopicState, version: i16) -> (DeletableTopicResult, Mark) {
    let name = wanted.name.as_ref().map_or("", |name| name.as_str());
    let outcome = lookup::topic(shared, name, wanted.topic_id).and_then(|topic| {
        let removed = shared.topics.remove(&topic).and_then(|removed| {
            let forgotten = shared.coordinator.forget_topic(&topic.name)?;
            Ok((removed, forgotten))
        });
        match removed {
            Ok((true, forgotten)) => Ok((topic, forgotten)),
            Ok((false, _)) => Err(ResponseError::UnknownTopicOrPartition),
            Err(error) => {
                tracing::error!(topic = topic.name, %error, "cannot delete the topic completely");
                Err(ResponseError::KafkaStorageError)
            }
        }
    });
    let mark = outcome.as_ref().map_or_else(|_| Mark::default(), |(_, forgotten)| *forgotten);
    let name = outcome.as_ref().ok().map(|(topic, _)| text(topic.name.as_str()).into()).or(wanted.name);
    let id = outcome.as_ref().map_or(wanted.topic_id, |(topic, _)| topic.id);
    let result = DeletableTopicResult::default().with_name(name).with_error_code(code(outcome.err()));
    (if version >= 6 { result.with_topic_id(id) } else { result }, mark)
}
