//! FindCoordinator: it is always this node.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};

use super::text;
use crate::state::{NODE_ID, Shared};

const GROUP: i8 = 0;
const NO_OTHERS: &str = "this broker coordinates consumer groups only";

pub(crate) fn handle(shared: &Shared, request: FindCoordinatorRequest, version: i16) -> FindCoordinatorResponse {
    let is_group = request.key_type == GROUP;
    let port = i32::from(shared.address.port());
    if version >= 4 {
        let coordinators = request.coordinator_keys.into_iter().map(|key| {
            let coordinator = Coordinator::default().with_key(key);
            match is_group {
                true => {
                    coordinator.with_node_id(BrokerId(NODE_ID)).with_host(text(shared.host.as_str())).with_port(port)
                }
                false => coordinator
                    .with_node_id(BrokerId(-1))
                    .with_port(-1)
                    .with_error_code(ResponseError::InvalidRequest.code())
                    .with_error_message(Some(text(NO_OTHERS))),
            }
        });
        return FindCoordinatorResponse::default().with_coordinators(coordinators.collect());
    }
    let response = FindCoordinatorResponse::default();
    match is_group {
        true => response.with_node_id(BrokerId(NODE_ID)).with_host(text(shared.host.as_str())).with_port(port),
        false => response
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(ResponseError::InvalidRequest.code())
            .with_error_message(Some(text(NO_OTHERS))),
    }
}
