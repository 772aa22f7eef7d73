use std::path::Path;

use super::super::append::Appended;
use super::super::batch::{Batch, testing};
use super::super::fsync::Fsync;
use super::*;

const RULES: AppendRules = AppendRules { segment_bytes: 400, segment_ms: i64::MAX, log_append_time: false };

fn append(
    partition: &Arc<Partition>,
    producer: Option<(i64, i16, i32)>,
    value: &[u8],
) -> Result<Appended, AppendError> {
    let bytes = testing::batch(producer, &[(1_000, value), (1_001, value)]);
    partition.append(Batch::verify(&bytes).unwrap(), &bytes, RULES, 5_000)
}

fn context(fsync: Fsync) -> LogContext {
    LogContext::new(fsync, 100)
}

fn open(directory: &Path) -> Arc<Partition> {
    Arc::new(Partition::open(directory.to_path_buf(), context(Fsync::Os)).unwrap())
}

fn read_all(partition: &Partition) -> Vec<i64> {
    let mut offsets = Vec::new();
    let mut at = partition.start();
    while let ReadPlan::Ready(read) = partition.plan_read(at, 1 << 20, true) {
        let bytes = read.run().unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let batch = Batch::verify(rest).unwrap();
            offsets.push(batch.base_offset);
            at = batch.last_offset() + 1;
            rest = &rest[batch.bytes..];
        }
    }
    offsets
}

#[test]
fn segments_roll_and_everything_is_read_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path());
    for n in 0..20 {
        assert_eq!(append(&partition, None, b"some value").unwrap().base_offset, n * 2);
    }
    assert!(partition.segments().len() > 3);
    let expected: Vec<i64> = (0..20).map(|n| n * 2).collect();
    assert_eq!(read_all(&partition), expected);
    drop(partition);
    let partition = open(directory.path());
    assert_eq!((partition.start(), partition.end()), (0, 40));
    assert_eq!(read_all(&partition), expected);
    assert_eq!(append(&partition, None, b"x").unwrap().base_offset, 40);
}

/// What a read gives lies below the end that is answered with it, and the end of what it gives can be read from next.
#[test]
fn no_reader_sees_beyond_the_end() {
    let partition = Arc::new(Partition::in_memory(context(Fsync::Os)));
    let appends = 20_000;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut at = 0;
                while at < appends * 2 {
                    match partition.plan_read(at, 1 << 20, true) {
                        ReadPlan::AtEnd => std::thread::yield_now(),
                        ReadPlan::OutOfRange => panic!("offset {at} followed what was read, and is out of range"),
                        ReadPlan::Ready(read) => {
                            let end = partition.end();
                            let bytes = read.run().unwrap();
                            let mut rest = &bytes[..];
                            while !rest.is_empty() {
                                let batch = Batch::parse(rest).unwrap();
                                at = batch.last_offset() + 1;
                                rest = &rest[batch.bytes..];
                            }
                            assert!(at <= end, "read up to {at} where the log ended at {end}");
                        }
                    }
                }
            });
        }
        for _ in 0..appends {
            append(&partition, None, b"value").unwrap();
        }
    });
}

#[test]
fn any_torn_end_is_cut_back_to_a_whole_batch() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path());
    let wide = AppendRules { segment_bytes: 1 << 20, ..RULES };
    for _ in 0..3 {
        let bytes = testing::batch(None, &[(1_000, b"value")]);
        partition.append(Batch::verify(&bytes).unwrap(), &bytes, wide, 0).unwrap();
    }
    drop(partition);
    let path = files::log_path(directory.path(), 0);
    let whole = std::fs::read(&path).unwrap();
    let third = whole.len() / 3;
    for cut in (third * 2..whole.len()).rev() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let partition = open(directory.path());
        assert_eq!(partition.end(), 2, "cut at {cut}");
        assert_eq!(std::fs::metadata(&path).unwrap().len() as usize, third * 2);
    }
    for harmed in third * 2 + 8..whole.len() {
        let mut bytes = whole.clone();
        bytes[harmed] ^= 0x41;
        std::fs::write(&path, &bytes).unwrap();
        let end = open(directory.path()).end();
        // The leader epoch is outside the checksum; nothing reads it from the file.
        let expected = if (third * 2 + 12..third * 2 + 16).contains(&harmed) { 3 } else { 2 };
        assert_eq!(end, expected, "harmed at {harmed}");
    }
}

#[test]
fn damage_inside_a_sealed_segment_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path());
    for _ in 0..10 {
        append(&partition, None, b"some value").unwrap();
    }
    partition.flush();
    drop(partition);
    let path = files::log_path(directory.path(), 0);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let error = Partition::open(directory.path().to_path_buf(), context(Fsync::Os)).err().unwrap();
    assert!(matches!(error, BrokerError::Damaged { .. }), "{error}");
}

#[test]
fn a_tear_before_the_last_segment_ends_the_log_there() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path());
    for _ in 0..10 {
        append(&partition, None, b"some value").unwrap();
    }
    drop(partition);
    remove_indexes(directory.path());
    let path = files::log_path(directory.path(), 0);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let partition = open(directory.path());
    assert_eq!((read_all(&partition).len(), partition.end()), (3, 6));
    assert_eq!(append(&partition, None, b"x").unwrap().base_offset, 6);
    drop(partition);
    assert_eq!(open(directory.path()).end(), 8);
}

fn remove_indexes(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "index") {
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_lost_index_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path());
    for n in 0..10 {
        append(&partition, Some((9, 0, n * 2)), b"some value").unwrap();
    }
    drop(partition);
    remove_indexes(directory.path());
    let partition = open(directory.path());
    assert_eq!(read_all(&partition).len(), 10);
    assert_eq!(append(&partition, Some((9, 0, 18)), b"some value").unwrap().base_offset, 18);
    assert_eq!(partition.end(), 20);
}

#[test]
fn a_duplicate_is_answered_with_its_first_offset_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut partition = open(directory.path());
    for n in 0..10 {
        append(&partition, Some((9, 0, n * 2)), b"some value").unwrap();
    }
    for _ in 0..2 {
        assert_eq!(append(&partition, Some((9, 0, 16)), b"some value").unwrap().base_offset, 16);
        assert!(matches!(append(&partition, Some((9, 0, 30)), b"v"), Err(AppendError::Sequence(_))));
        assert_eq!(partition.end(), 20);
        drop(partition);
        partition = open(directory.path());
    }
}

#[test]
fn trimming_moves_the_start_and_drops_whole_segments() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path());
    for _ in 0..20 {
        append(&partition, None, b"some value").unwrap();
    }
    let before = partition.segments().len();
    assert_eq!(partition.trim(Some(21)).unwrap(), 21);
    assert_eq!(partition.trim(Some(5)).unwrap(), 21);
    assert!(matches!(partition.trim(Some(41)), Err(TrimError::OutOfRange { .. })));
    assert!(partition.segments().len() < before);
    assert!(matches!(partition.plan_read(20, 100, true), ReadPlan::OutOfRange));
    assert_eq!(read_all(&partition)[0], 20);
    drop(partition);
    let partition = open(directory.path());
    assert_eq!((partition.start(), partition.end()), (21, 40));
    assert_eq!(partition.trim(None).unwrap(), 40);
    drop(partition);
    let partition = open(directory.path());
    assert_eq!((partition.start(), partition.end()), (40, 40));
    assert_eq!(append(&partition, None, b"x").unwrap().base_offset, 40);
}

#[test]
fn a_start_beyond_a_torn_end_goes_on_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path());
    append(&partition, None, b"some value").unwrap();
    partition.trim(None).unwrap();
    drop(partition);
    std::fs::write(files::log_path(directory.path(), 0), b"").unwrap();
    let partition = open(directory.path());
    assert_eq!((partition.start(), partition.end()), (2, 2));
    assert_eq!(append(&partition, None, b"x").unwrap().base_offset, 2);
    assert_eq!(open(directory.path()).end(), 4);
}

#[test]
fn the_broker_stamps_records_where_told() {
    let partition = Arc::new(Partition::in_memory(context(Fsync::Os)));
    let bytes = testing::batch(None, &[(1_000, b"a"), (9_000, b"b")]);
    let rules = AppendRules { log_append_time: true, ..RULES };
    let appended = partition.append(Batch::verify(&bytes).unwrap(), &bytes, rules, 5_000).unwrap();
    assert_eq!(appended.log_append_time_ms, Some(5_000));
    let ReadPlan::Ready(read) = partition.plan_read(0, 1_000, true) else { panic!("nothing to read") };
    let batch = Batch::verify(&read.run().unwrap()).unwrap();
    assert!(batch.is_log_append_time());
    assert_eq!(batch.max_timestamp, 5_000);
}

#[test]
fn a_removed_partition_takes_nothing_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("topic-0");
    let partition = open(&path);
    append(&partition, None, b"x").unwrap();
    partition.remove().unwrap();
    assert!(matches!(append(&partition, None, b"x"), Err(AppendError::Removed)));
    assert!(!path.exists());
}
