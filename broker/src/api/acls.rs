//! DescribeAcls, CreateAcls, DeleteAcls: there are none, and whoever asks is told that nothing is secured.

use kafka_protocol::error::ResponseError::SecurityDisabled;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};
use kafka_protocol::protocol::StrBytes;

const REASON: StrBytes = StrBytes::from_static_str("No Authorizer is configured: this broker secures nothing.");

pub(crate) fn describe(_: DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse::default().with_error_code(SecurityDisabled.code()).with_error_message(Some(REASON))
}

pub(crate) fn create(request: CreateAclsRequest) -> CreateAclsResponse {
    let refused =
        AclCreationResult::default().with_error_code(SecurityDisabled.code()).with_error_message(Some(REASON));
    CreateAclsResponse::default().with_results(vec![refused; request.creations.len()])
}

pub(crate) fn delete(request: DeleteAclsRequest) -> DeleteAclsResponse {
    let refused =
        DeleteAclsFilterResult::default().with_error_code(SecurityDisabled.code()).with_error_message(Some(REASON));
    DeleteAclsResponse::default().with_filter_results(vec![refused; request.filters.len()])
}
