//! ApiVersions: which requests this broker takes, in which versions.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};

use crate::server::shapes::{SHAPES, Shape};

pub(crate) fn handle(_: ApiVersionsRequest) -> ApiVersionsResponse {
    ApiVersionsResponse::default().with_api_keys(SHAPES.iter().map(api_version).collect())
}

/// For a request in a version that this broker does not know.
pub(crate) fn unsupported() -> ApiVersionsResponse {
    let response = ApiVersionsResponse::default().with_error_code(ResponseError::UnsupportedVersion.code());
    response.with_api_keys(SHAPES.iter().map(api_version).collect())
}

fn api_version(shape: &Shape) -> ApiVersion {
    // As Kafka does: some clients take the absence of version 0 for the absence of compression.
    let min = if shape.api == ApiKey::Produce { 0 } else { shape.versions.min };
    ApiVersion::default().with_api_key(shape.api as i16).with_min_version(min).with_max_version(shape.versions.max)
}
