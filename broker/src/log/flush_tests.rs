use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::append::{AppendRules, Appended};
use super::super::batch::{Batch, testing};
use super::super::context::LogContext;
use super::super::faults::Faults;
use super::super::fsync::{Flusher, Fsync};
use super::super::store::Store;
use super::*;

const WIDE: AppendRules = AppendRules { segment_bytes: 1 << 20, segment_ms: i64::MAX, log_append_time: false };
const NARROW: AppendRules = AppendRules { segment_bytes: 400, ..WIDE };

fn open(directory: &Path, fsync: Fsync) -> Arc<Partition> {
    Arc::new(Partition::open(directory.to_path_buf(), LogContext::new(fsync, 100)).unwrap())
}

fn append(partition: &Arc<Partition>, value: &[u8], rules: AppendRules) -> Result<Appended, AppendError> {
    let bytes = testing::batch(None, &[(1_000, value)]);
    partition.append(Batch::verify(&bytes).unwrap(), &bytes, rules, 5_000)
}

fn faults(segment: &Segment) -> &Faults {
    match &segment.store {
        Store::File(file) => &file.faults,
        Store::Memory(_) => panic!("no file"),
    }
}

#[tokio::test]
async fn with_every_nothing_is_seen_before_it_is_synced_and_one_sync_covers_all() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path(), Fsync::Every);
    for _ in 0..10 {
        append(&partition, b"value", WIDE).unwrap();
    }
    assert_eq!(partition.end(), 0);
    assert!(matches!(partition.plan_read(0, 1_000, true), super::super::partition::ReadPlan::AtEnd));
    partition.flush();
    assert_eq!(partition.end(), 10);
    partition.committed(10).await.unwrap();
    assert_eq!(faults(&partition.segments()[0]).syncs.load(Ordering::Acquire), 1);
    partition.flush();
    assert_eq!(faults(&partition.segments()[0]).syncs.load(Ordering::Acquire), 1);
}

#[test]
fn otherwise_it_is_seen_at_once() {
    for (fsync, syncs) in [(Fsync::Interval(Duration::from_secs(1_000)), 1), (Fsync::Os, 0)] {
        let directory = tempfile::tempdir().unwrap();
        let partition = open(directory.path(), fsync);
        assert_eq!(append(&partition, b"value", WIDE).unwrap().next_offset, 1);
        assert_eq!(partition.end(), 1);
        partition.flush();
        assert_eq!(faults(&partition.segments()[0]).syncs.load(Ordering::Acquire), syncs, "{fsync:?}");
    }
}

#[tokio::test]
async fn a_failed_sync_takes_the_partition_offline_until_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path(), Fsync::Every);
    append(&partition, b"first", WIDE).unwrap();
    partition.flush();
    faults(&partition.segments()[0]).fail_syncs.store(true, Ordering::Release);
    append(&partition, b"second", WIDE).unwrap();
    let waiting = tokio::spawn({
        let partition = partition.clone();
        async move { partition.committed(2).await }
    });
    tokio::task::yield_now().await;
    partition.flush();
    assert!(matches!(waiting.await.unwrap(), Err(AppendError::Offline)));
    assert_eq!((partition.status(), partition.end()), (Status::Offline, 1));
    assert!(matches!(append(&partition, b"third", WIDE), Err(AppendError::Offline)));
    drop(partition);
    let partition = open(directory.path(), Fsync::Every);
    append(&partition, b"again", WIDE).unwrap();
    partition.flush();
    assert_eq!(partition.end(), 3);
}

#[test]
fn a_full_disk_fails_the_append_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path(), Fsync::Os);
    append(&partition, b"first", WIDE).unwrap();
    faults(&partition.segments()[0]).fail_writes.store(true, Ordering::Release);
    let error = append(&partition, &[7; 1_000], WIDE).unwrap_err();
    assert!(matches!(&error, AppendError::Io(error) if error.kind() == io::ErrorKind::StorageFull), "{error}");
    assert_eq!((partition.status(), partition.end()), (Status::Online, 1));
    faults(&partition.segments()[0]).fail_writes.store(false, Ordering::Release);
    append(&partition, b"short", WIDE).unwrap();
    partition.stop();
    drop(partition);
    assert_eq!(open(directory.path(), Fsync::Os).end(), 2);
}

#[test]
fn a_file_that_is_gone_fails_the_partition() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path(), Fsync::Every);
    append(&partition, b"first", WIDE).unwrap();
    std::fs::remove_file(files::log_path(directory.path(), 0)).unwrap();
    partition.flush();
    assert_eq!((partition.status(), partition.end()), (Status::Offline, 0));
}

#[test]
fn after_a_stop_in_good_order_the_log_is_not_read_and_after_any_other_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path(), Fsync::Os);
    append(&partition, b"first", WIDE).unwrap();
    partition.stop();
    drop(partition);
    let partition = open(directory.path(), Fsync::Os);
    assert!(sync::lock(&partition.appender).has_clean_stop);
    assert_eq!(partition.end(), 1);
    append(&partition, b"second", WIDE).unwrap();
    drop(partition);
    let partition = open(directory.path(), Fsync::Os);
    assert!(!sync::lock(&partition.appender).has_clean_stop);
    assert_eq!(partition.end(), 2);
}

#[test]
fn what_was_said_of_a_stop_does_not_hold_for_a_log_of_another_size() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path(), Fsync::Os);
    append(&partition, b"first", WIDE).unwrap();
    partition.stop();
    let said = std::fs::read(directory.path().join("clean-stop")).unwrap();
    append(&partition, b"second", WIDE).unwrap();
    drop(partition);
    std::fs::write(directory.path().join("clean-stop"), said).unwrap();
    assert_eq!(open(directory.path(), Fsync::Os).end(), 2);
}

#[test]
fn a_sealed_segment_whose_successor_was_lost_grows_again() {
    let directory = tempfile::tempdir().unwrap();
    let partition = open(directory.path(), Fsync::Os);
    for _ in 0..10 {
        append(&partition, b"some value", NARROW).unwrap();
    }
    partition.flush();
    let last = partition.segments().last().unwrap().base_offset;
    drop(partition);
    std::fs::remove_file(files::log_path(directory.path(), last)).unwrap();
    for more in 0..3 {
        let partition = open(directory.path(), Fsync::Os);
        assert_eq!(partition.end(), last + more);
        append(&partition, b"more", WIDE).unwrap();
    }
}

/// What would be left if the power were lost now: of every file what was synced.
fn after_a_loss_of_power(partition: &Partition, directory: &Path) -> tempfile::TempDir {
    let left = tempfile::tempdir().unwrap();
    let names = |extension| {
        let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(move |path| path.extension().is_some_and(|found| found == extension))
    };
    for index in names("index") {
        std::fs::copy(&index, left.path().join(index.file_name().unwrap())).unwrap();
    }
    for segment in partition.segments().iter() {
        let synced = faults(segment).synced.load(Ordering::Acquire) as usize;
        let path = files::log_path(directory, segment.base_offset);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(left.path().join(path.file_name().unwrap()), &bytes[..synced]).unwrap();
    }
    left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_a_loss_of_power_takes_nothing_that_was_acknowledged() {
    for rules in [WIDE, AppendRules { segment_bytes: 4_000, ..WIDE }] {
        let directory = tempfile::tempdir().unwrap();
        let partition = open(directory.path(), Fsync::Every);
        let _flusher = Flusher::start(partition.context.flush_queue.clone()).unwrap();
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let producers: Vec<_> = (0..4)
            .map(|_| {
                let (partition, acknowledged) = (partition.clone(), acknowledged.clone());
                tokio::spawn(async move {
                    for n in 0..100 {
                        let appended = append(&partition, format!("value {n}").as_bytes(), rules).unwrap();
                        partition.committed(appended.next_offset).await.unwrap();
                        sync::lock(&acknowledged).push(appended.base_offset);
                    }
                })
            })
            .collect();
        while !producers.iter().all(|producer| producer.is_finished()) {
            let promised = sync::lock(&acknowledged).iter().max().map_or(0, |last| last + 1);
            let left = after_a_loss_of_power(&partition, directory.path());
            let recovered = open(left.path(), Fsync::Every);
            assert!(recovered.end() >= promised, "{} of {promised} are left", recovered.end());
            tokio::task::yield_now().await;
        }
        for producer in producers {
            producer.await.unwrap();
        }
        assert_eq!(partition.end(), 400);
    }
}
