//! InitProducerId: a fresh id for an idempotent producer.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use crate::state::Shared;

pub(crate) fn handle(shared: &Shared, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let refuse = |error: ResponseError| {
        let response = InitProducerIdResponse::default().with_error_code(error.code());
        response.with_producer_id(ProducerId(-1)).with_producer_epoch(-1)
    };
    if request.transactional_id.is_some() {
        // Without this the client would ask for ever: there are no transactions here.
        return refuse(ResponseError::InvalidRequest);
    }
    match shared.cluster.next_producer_id() {
        Ok(id) => InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0),
        Err(error) => {
            tracing::error!(%error, "cannot set producer ids aside");
            refuse(ResponseError::KafkaStorageError)
        }
    }
}
