//! DeleteTopics. Files are removed on a thread of their own.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use super::{code, lookup, text};
use crate::state::Shared;

pub(crate) async fn handle(shared: &Arc<Shared>, request: DeleteTopicsRequest, version: i16) -> DeleteTopicsResponse {
    let wanted = match version {
        6.. => request.topics,
        _ => request.topic_names.into_iter().map(|name| DeleteTopicState::default().with_name(Some(name))).collect(),
    };
    let shared = shared.clone();
    let deleting = tokio::task::spawn_blocking(move || {
        wanted.into_iter().map(|wanted| delete(&shared, wanted, version)).collect::<Vec<_>>()
    });
    match deleting.await {
        Ok(results) => DeleteTopicsResponse::default().with_responses(results),
        // Only a broker that is being dropped cancels its threads.
        Err(_) => DeleteTopicsResponse::default(),
    }
}

fn delete(shared: &Shared, wanted: DeleteTopicState, version: i16) -> DeletableTopicResult {
    let name = wanted.name.as_ref().map_or("", |name| name.as_str());
    let outcome = lookup::topic(shared, name, wanted.topic_id).and_then(|topic| {
        let removed = shared.topics.remove(&topic).and_then(|removed| {
            shared.coordinator.forget_topic(&topic.name)?;
            Ok(removed)
        });
        match removed {
            Ok(true) => Ok(topic),
            Ok(false) => Err(ResponseError::UnknownTopicOrPartition),
            Err(error) => {
                tracing::error!(topic = topic.name, %error, "cannot delete the topic completely");
                Err(ResponseError::KafkaStorageError)
            }
        }
    });
    let name = outcome.as_ref().ok().map(|topic| text(topic.name.as_str()).into()).or(wanted.name);
    let id = outcome.as_ref().map_or(wanted.topic_id, |topic| topic.id);
    let result = DeletableTopicResult::default().with_name(name).with_error_code(code(outcome.err()));
    if version >= 6 { result.with_topic_id(id) } else { result }
}
