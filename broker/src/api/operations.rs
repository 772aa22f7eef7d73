//! What a client is allowed to do, as a set of bits: without authentication, everything that can be done.

/// Read, delete, describe, describe and alter settings.
pub(crate) const GROUP_OPERATIONS: i32 = bits(&[3, 6, 8, 10, 11]);
/// Read, write, create, delete, alter, describe, describe and alter settings.
pub(crate) const TOPIC_OPERATIONS: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);
/// Create, alter, describe, act as the cluster, describe and alter settings, write idempotently.
pub(crate) const CLUSTER_OPERATIONS: i32 = bits(&[5, 7, 8, 9, 10, 11, 12]);

const NOT_ASKED: i32 = i32::MIN;

const fn bits(operations: &[u32]) -> i32 {
    let (mut set, mut at) = (0, 0);
    while at < operations.len() {
        set |= 1 << operations[at];
        at += 1;
    }
    set
}

pub(crate) fn answered(is_asked: bool, operations: i32) -> i32 {
    if is_asked { operations } else { NOT_ASKED }
}
