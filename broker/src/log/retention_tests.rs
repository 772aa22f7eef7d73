use std::path::Path;

use super::super::append::AppendRules;
use super::super::batch::{Batch, testing};
use super::super::context::LogContext;
use super::super::fsync::Fsync;
use super::*;

const NARROW: AppendRules = AppendRules { segment_bytes: 400, segment_ms: i64::MAX, log_append_time: false };
const FOR_EVER: RetentionRules = RetentionRules { ms: None, bytes: None };

fn open(directory: &Path) -> Arc<Partition> {
    Arc::new(Partition::open(directory.to_path_buf(), LogContext::new(Fsync::Os, 100)).unwrap())
}

/// Twenty records, one each second.
fn fill(partition: &Arc<Partition>) {
    for second in 0..20 {
        let bytes = testing::batch(None, &[(second * 1_000, b"some value")]);
        partition.append(Batch::verify(&bytes).unwrap(), &bytes, NARROW, 0).unwrap();
    }
    partition.flush();
}

#[test]
fn segments_go_when_their_last_record_is_too_old() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path());
    fill(&partition);
    let rules = RetentionRules { ms: Some(5_000), ..FOR_EVER };
    let second_from = partition.segments()[1].base_offset;
    let first_expires = (second_from - 1) * 1_000 + 5_000;
    partition.enforce_retention(rules, first_expires).unwrap();
    assert_eq!(partition.start(), 0);
    partition.enforce_retention(rules, first_expires + 1).unwrap();
    assert_eq!((partition.start(), partition.segments()[0].base_offset), (second_from, second_from));
    drop(partition);
    let partition = open(directory.path());
    assert_eq!((partition.start(), partition.end()), (second_from, 20));
    // The active segment, too, when its time has come.
    partition.enforce_retention(rules, 1_000_000).unwrap();
    assert_eq!((partition.start(), partition.end()), (20, 20));
    assert_eq!(partition.segments().iter().map(|segment| segment.visible().size).sum::<u64>(), 0);
    drop(partition);
    let partition = open(directory.path());
    assert_eq!((partition.start(), partition.end()), (20, 20));
    fill(&partition);
    assert_eq!((partition.start(), partition.end()), (20, 40));
}

#[test]
fn segments_go_without_which_there_is_enough() {
    let partition = Arc::new(Partition::in_memory(LogContext::new(Fsync::Os, 100)));
    fill(&partition);
    let sizes: Vec<u64> = partition.segments().iter().map(|segment| segment.visible().size).collect();
    let total: u64 = sizes.iter().sum();
    let keep = |bytes| partition.enforce_retention(RetentionRules { bytes: Some(bytes), ..FOR_EVER }, 0).unwrap();
    keep(total - sizes[0] + 1);
    assert_eq!(partition.segments().len(), sizes.len());
    keep(total - sizes[0]);
    assert_eq!(partition.segments().len(), sizes.len() - 1);
    assert_eq!(partition.start(), partition.segments()[0].base_offset);
    keep(1);
    assert_eq!(partition.segments().len(), 1);
    assert_eq!(partition.end(), 20);
}

#[test]
fn without_rules_everything_stays() {
    let partition = Arc::new(Partition::in_memory(LogContext::new(Fsync::Os, 100)));
    fill(&partition);
    partition.enforce_retention(FOR_EVER, i64::MAX).unwrap();
    assert_eq!(partition.start(), 0);
}

#[test]
fn a_segment_is_complete_when_it_has_lasted_for_long_enough() {
    let partition = Arc::new(Partition::in_memory(LogContext::new(Fsync::Os, 100)));
    let rules = AppendRules { segment_bytes: 1 << 20, segment_ms: 4_500, ..NARROW };
    for second in 0..20 {
        let bytes = testing::batch(None, &[(second * 1_000, b"some value")]);
        partition.append(Batch::verify(&bytes).unwrap(), &bytes, rules, 0).unwrap();
    }
    let bases: Vec<i64> = partition.segments().iter().map(|segment| segment.base_offset).collect();
    assert_eq!(bases, [0, 5, 10, 15]);
}
