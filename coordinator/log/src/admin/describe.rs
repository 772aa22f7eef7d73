//! Describing topics with their ids, and the cluster: the requests that the safe wrapper does not offer.
//!
//! Unlike a producer's plain metadata request, they never create a topic on a cluster that creates topics by itself, and
//! never ask for all topics.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::client::Client;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use super::inspect::{ClusterInfo, Operation, TopicSeen};
use super::{Quiet, TopicInfo};

pub(super) type Failure = (Option<RDKafkaErrorCode>, String);

/// A pointer that librdkafka gave us to keep, destroyed once when it is dropped.
struct Owned<T> {
    pointer: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T), what: &str) -> Result<Self, Failure> {
        let pointer = NonNull::new(pointer).ok_or_else(|| (None, format!("librdkafka gave no {what}")))?;
        Ok(Self { pointer, destroy })
    }

    fn get(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the constructor that `destroy` belongs to, is not null, and is destroyed only
        // here, once, since `Owned` is neither `Clone` nor taken apart.
        unsafe { (self.destroy)(self.pointer.as_ptr()) }
    }
}

/// Describes topics, blocking for at most `timeout`. Topics that do not exist are left out.
pub(super) fn topics(client: &Client<Quiet>, names: &[String], timeout: Duration) -> Result<Vec<TopicInfo>, Failure> {
    let mut infos = Vec::with_capacity(names.len());
    for (name, seen) in look_at(client, names, timeout)? {
        match seen {
            TopicSeen::There { info, .. } => infos.push(info),
            TopicSeen::Missing => {}
            TopicSeen::Failed { code, message } => return Err((Some(code), format!("{name}: {message}"))),
        }
    }
    Ok(infos)
}

/// Looks at topics one by one, with what this client may do there.
pub(super) fn look_at(
    client: &Client<Quiet>,
    names: &[String],
    timeout: Duration,
) -> Result<Vec<(String, TopicSeen)>, Failure> {
    let names: Result<Vec<CString>, _> = names.iter().map(|name| CString::new(name.as_str())).collect();
    let names = names.map_err(|error| (Some(RDKafkaErrorCode::InvalidTopic), error.to_string()))?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: `pointers` holds `len` pointers to strings that end in NUL and live as long as `names`; librdkafka copies
    // them into the collection.
    let collection = unsafe { native::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()) };
    let collection = Owned::new(collection, native::rd_kafka_TopicCollection_destroy, "topic collection")?;
    let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let event = request(client, operation, timeout, |rk, options, queue| {
        // SAFETY: `request` gives valid pointers, and `collection` is alive during the call, which copies it.
        unsafe { native::rd_kafka_DescribeTopics(rk, collection.get(), options, queue) }
    })?;
    let mut count = 0;
    // SAFETY: `event` is alive; the function returns null for an event of another type, and otherwise a result that
    // belongs to the event. The array has `count` valid entries that belong to the event as well.
    let described = unsafe {
        let result = native::rd_kafka_event_DescribeTopics_result(event.get());
        if result.is_null() {
            return Err(another_event());
        }
        let first = native::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if first.is_null() { &[][..] } else { std::slice::from_raw_parts(first, count) }
    };
    // SAFETY: see above: each description is valid as long as `event`, which outlives this call.
    Ok(described.iter().map(|&description| unsafe { read(description) }).collect())
}

/// Who is in the cluster, blocking for at most `timeout`.
pub(super) fn cluster(client: &Client<Quiet>, timeout: Duration) -> Result<ClusterInfo, Failure> {
    let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER;
    let event = request(client, operation, timeout, |rk, options, queue| {
        // SAFETY: `request` gives valid pointers.
        unsafe { native::rd_kafka_DescribeCluster(rk, options, queue) }
    })?;
    let mut count = 0;
    // SAFETY: `event` is alive; the function returns null for an event of another type, and otherwise a result that
    // belongs to the event, as the nodes do. The array has `count` valid entries; a controller that is not known is null.
    unsafe {
        let result = native::rd_kafka_event_DescribeCluster_result(event.get());
        if result.is_null() {
            return Err(another_event());
        }
        let first = native::rd_kafka_DescribeCluster_result_nodes(result, &mut count);
        let nodes = if first.is_null() { &[][..] } else { std::slice::from_raw_parts(first, count) };
        let brokers = nodes.iter().map(|&node| native::rd_kafka_Node_id(node)).collect();
        let controller = native::rd_kafka_DescribeCluster_result_controller(result);
        let controller = (!controller.is_null()).then(|| native::rd_kafka_Node_id(controller));
        Ok(ClusterInfo { brokers, controller })
    }
}

/// What this client may do with a group; none if the broker does not say.
pub(super) fn group_operations(
    client: &Client<Quiet>,
    group: &str,
    timeout: Duration,
) -> Result<Option<BTreeSet<Operation>>, Failure> {
    let name = CString::new(group).map_err(|error| (Some(RDKafkaErrorCode::InvalidGroupId), error.to_string()))?;
    let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    let event = request(client, operation, timeout, |rk, options, queue| {
        let mut names = [name.as_ptr()];
        // SAFETY: `request` gives valid pointers, and the one name is alive during the call, which copies it.
        unsafe { native::rd_kafka_DescribeConsumerGroups(rk, names.as_mut_ptr(), names.len(), options, queue) }
    })?;
    let mut count = 0;
    // SAFETY: `event` is alive; the function returns null for an event of another type, and otherwise a result that
    // belongs to the event, as its groups do, of which there are `count`. A group's error is null or belongs to it.
    unsafe {
        let result = native::rd_kafka_event_DescribeConsumerGroups_result(event.get());
        if result.is_null() {
            return Err(another_event());
        }
        let first = native::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        if first.is_null() || count == 0 {
            return Err(another_event());
        }
        let error = native::rd_kafka_ConsumerGroupDescription_error(*first);
        match native::rd_kafka_error_code(error) {
            // A group that nobody has joined yet does not exist, and that is no error.
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR | RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND => {}
            code => return Err((Some(code.into()), text(native::rd_kafka_error_string(error)))),
        }
        let first = native::rd_kafka_ConsumerGroupDescription_authorized_operations(*first, &mut count);
        Ok(operations(first, count))
    }
}

/// What librdkafka read of a bit field; none if the broker did not send one.
///
/// # Safety
/// `first` must be null or point to `count` valid operations.
unsafe fn operations(first: *const native::rd_kafka_AclOperation_t, count: usize) -> Option<BTreeSet<Operation>> {
    use native::rd_kafka_AclOperation_t as Native;
    if first.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller promises the rest.
    let found = unsafe { std::slice::from_raw_parts(first, count) };
    let known = found.iter().filter_map(|operation| match operation {
        Native::RD_KAFKA_ACL_OPERATION_READ => Some(Operation::Read),
        Native::RD_KAFKA_ACL_OPERATION_WRITE => Some(Operation::Write),
        Native::RD_KAFKA_ACL_OPERATION_DELETE => Some(Operation::Delete),
        Native::RD_KAFKA_ACL_OPERATION_DESCRIBE => Some(Operation::Describe),
        Native::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS => Some(Operation::DescribeConfigs),
        _ => None,
    });
    Some(known.collect())
}

fn another_event() -> Failure {
    (None, "librdkafka answered with another event than the one asked for".to_owned())
}

/// Lets `send` enqueue a request and waits for its event, which is one without an error. `send` gets pointers that are
/// valid during its call.
fn request(
    client: &Client<Quiet>,
    operation: native::rd_kafka_admin_op_t,
    timeout: Duration,
    send: impl Fn(*mut native::rd_kafka_t, *mut native::rd_kafka_AdminOptions_t, *mut native::rd_kafka_queue_t),
) -> Result<Owned<native::rd_kafka_event_t>, Failure> {
    let rk = client.native_ptr();
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `rk` is alive as long as `client`, which outlives this call, and what is made from it here but the event is
    // destroyed before the end; events do not refer to their queue. The queue is our own, so nobody else polls the answer
    // away. The error buffer may be absent by librdkafka's contract when its size is 0. The error string belongs to the
    // event.
    unsafe {
        let queue = Owned::new(native::rd_kafka_queue_new(rk), native::rd_kafka_queue_destroy, "queue")?;
        let options = native::rd_kafka_AdminOptions_new(rk, operation);
        let options = Owned::new(options, native::rd_kafka_AdminOptions_destroy, "options")?;
        native::rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms, std::ptr::null_mut(), 0);
        let refused = native::rd_kafka_AdminOptions_set_include_authorized_operations(options.get(), 1);
        if !refused.is_null() {
            native::rd_kafka_error_destroy(refused);
        }
        send(rk, options.get(), queue.get());
        // The request times out by itself; a little more lets its own error come through.
        let event = native::rd_kafka_queue_poll(queue.get(), timeout_ms.saturating_add(1_000));
        if event.is_null() {
            return Err((Some(RDKafkaErrorCode::OperationTimedOut), format!("no answer within {timeout:?}")));
        }
        let event = Owned::new(event, native::rd_kafka_event_destroy, "event")?;
        match native::rd_kafka_event_error(event.get()) {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(event),
            code => Err((Some(code.into()), text(native::rd_kafka_event_error_string(event.get())))),
        }
    }
}

/// Reads one description.
///
/// # Safety
/// `description` must be valid during the call.
unsafe fn read(description: *const native::rd_kafka_TopicDescription_t) -> (String, TopicSeen) {
    // SAFETY: the caller promises a valid description; error, name, id and partitions belong to it. An error of null is
    // "no error", which `rd_kafka_error_code` accepts. The partition array has `count` valid entries.
    unsafe {
        let name = text(native::rd_kafka_TopicDescription_name(description));
        let error = native::rd_kafka_TopicDescription_error(description);
        match native::rd_kafka_error_code(error) {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => {}
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC => return (name, TopicSeen::Missing),
            code => {
                let message = text(native::rd_kafka_error_string(error));
                return (name, TopicSeen::Failed { code: code.into(), message });
            }
        }
        let mut count = 0;
        let first = native::rd_kafka_TopicDescription_partitions(description, &mut count);
        let partitions = if first.is_null() { &[][..] } else { std::slice::from_raw_parts(first, count) };
        let mut replicas = None;
        let mut has_leaders = !partitions.is_empty();
        for &partition in partitions {
            let mut copies = 0;
            native::rd_kafka_TopicPartitionInfo_replicas(partition, &mut copies);
            replicas = Some(replicas.map_or(copies, |least: usize| least.min(copies)));
            has_leaders &= !native::rd_kafka_TopicPartitionInfo_leader(partition).is_null();
        }
        let info = TopicInfo {
            name: name.clone(),
            id: id(native::rd_kafka_TopicDescription_topic_id(description)),
            partitions: u32::try_from(count).unwrap_or(u32::MAX),
            replicas: u32::try_from(replicas.unwrap_or(0)).unwrap_or(u32::MAX),
            has_leaders,
        };
        let first = native::rd_kafka_TopicDescription_authorized_operations(description, &mut count);
        (name, TopicSeen::There { info, operations: operations(first, count) })
    }
}

/// A topic's id as text; a broker without topic ids sends zeros.
///
/// # Safety
/// `uuid` must be null or valid during the call.
unsafe fn id(uuid: *const native::rd_kafka_Uuid_t) -> Option<String> {
    if uuid.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller promises that it is valid then.
    let (most, least) = unsafe {
        (native::rd_kafka_Uuid_most_significant_bits(uuid), native::rd_kafka_Uuid_least_significant_bits(uuid))
    };
    ((most, least) != (0, 0))
        .then(|| uuid::Uuid::from_u64_pair(most.cast_unsigned(), least.cast_unsigned()).to_string())
}

/// Copies a text of librdkafka's.
///
/// # Safety
/// `text` must be null or end in NUL, and be valid during the call.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the caller promises the rest.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
