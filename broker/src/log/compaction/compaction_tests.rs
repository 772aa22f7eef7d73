use std::collections::BTreeMap;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::append::AppendRules;
use super::super::batch::testing;
use super::super::compression::Codec;
use super::super::context::LogContext;
use super::super::faults;
use super::super::fsync::Fsync;
use super::super::partition::ReadPlan;
use super::super::timestamps;
use super::*;

const NARROW: AppendRules = AppendRules { segment_bytes: 500, segment_ms: i64::MAX, log_append_time: false };
const MAP_BYTES: usize = 1 << 20;
const AT_ONCE: CompactionRules = CompactionRules {
    min_lag_ms: 0,
    max_lag_ms: i64::MAX,
    min_dirty_ratio: 0.0,
    delete_retention_ms: 1_000,
    segment_bytes: 2_000,
};
const NOW: i64 = 1_000_000;

/// Offset, timestamp, key, value.
type Entry = (i64, i64, String, Option<String>);

/// A partition and what was written to it.
struct Log {
    partition: Arc<Partition>,
    written: Vec<Entry>,
    sequence: i32,
}

fn open(directory: &Path) -> Arc<Partition> {
    Arc::new(Partition::open(directory.to_path_buf(), LogContext::new(Fsync::Os, 100)).unwrap())
}

impl Log {
    fn in_memory() -> Self {
        let partition = Arc::new(Partition::in_memory(LogContext::new(Fsync::Os, 100)));
        Self { partition, written: Vec::new(), sequence: 0 }
    }

    fn at(directory: &Path) -> Self {
        Self { partition: open(directory), written: Vec::new(), sequence: 0 }
    }

    /// One batch of one producer.
    fn write(&mut self, records: &[(&str, Option<&str>)], codec: Option<(i16, Codec)>) {
        let timestamp = 1_000 + self.partition.end();
        let keyed: Vec<testing::Keyed<'_>> =
            records.iter().map(|(key, value)| (timestamp, Some(key.as_bytes()), value.map(str::as_bytes))).collect();
        let bytes = testing::keyed_batch(Some((7, 0, self.sequence)), &keyed, codec);
        let appended = self.partition.append(Batch::verify(&bytes).unwrap(), &bytes, NARROW, 0).unwrap();
        for (offset, (key, value)) in (appended.base_offset..).zip(records) {
            self.written.push((offset, timestamp, (*key).to_owned(), value.map(str::to_owned)));
        }
        self.sequence += records.len() as i32;
        self.partition.flush();
    }

    fn compact(&self, now_ms: i64) -> Result<Option<i64>, CompactionError> {
        compact(&self.partition, &AT_ONCE, MAP_BYTES, now_ms)
    }

    fn active_from(&self) -> i64 {
        self.partition.segments().last().map_or(self.partition.end(), |active| active.base_offset)
    }

    /// What must be left when all complete segments are clean: the last of each key among them, and all behind them.
    fn survivors(&self) -> Vec<Entry> {
        let active = self.active_from();
        let mut last = BTreeMap::new();
        for (offset, _, key, _) in self.written.iter().filter(|entry| entry.0 < active) {
            last.insert(key.as_str(), *offset);
        }
        let stays = |entry: &&Entry| entry.0 >= active || last[entry.2.as_str()] == entry.0;
        self.written.iter().filter(stays).cloned().collect()
    }
}

fn read_all(partition: &Partition) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut at = partition.start();
    while let ReadPlan::Ready(read) = partition.plan_read(at, 700, true) {
        let bytes = read.run().unwrap();
        assert!(!bytes.is_empty());
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let batch = Batch::verify(rest).unwrap();
            let body = records::body(&batch, rest).unwrap();
            let records: Vec<_> =
                if batch.record_count == 0 { Vec::new() } else { Records::of(&body).map(Result::unwrap).collect() };
            assert_eq!(records.len() as i32, batch.record_count);
            for record in records {
                let offset = batch.base_offset + i64::from(record.offset_delta);
                let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                entries.push((offset, batch.base_timestamp + record.timestamp_delta, key, value_of(&record)));
            }
            at = batch.last_offset() + 1;
            rest = &rest[batch.bytes..];
        }
    }
    assert_eq!(at, partition.end());
    entries
}

/// Every test record's value is short and behind a key of one letter and a digit or two.
fn value_of(record: &Record<'_>) -> Option<String> {
    let key = record.key.unwrap();
    let from = record.bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
    let value = &record.bytes[from + 1..record.bytes.len() - 1];
    record.has_value.then(|| String::from_utf8(value.to_vec()).unwrap())
}

fn fill(log: &mut Log, batches: usize, codec: Option<(i16, Codec)>) {
    for n in 0..batches {
        let (one, two) = (format!("k{}", n % 7), format!("k{}", n % 3));
        let value = format!("value {n}");
        log.write(&[(&one, Some(&value)), (&two, Some(&value)), ("k9", Some(&value))], codec);
    }
}

#[test]
fn the_last_record_of_every_key_stays_as_it_was_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    for mut log in [Log::in_memory(), Log::at(directory.path())] {
        fill(&mut log, 40, None);
        let segments_before = log.partition.segments().len();
        assert_eq!(log.compact(NOW).unwrap(), None);
        assert!(log.partition.segments().len() < segments_before / 2);
        assert_eq!(read_all(&log.partition), log.survivors());
    }
    let mut log = Log::at(directory.path());
    assert_eq!((log.partition.end(), read_all(&log.partition).len()), (120, 8 + (120 - log.active_from() as usize)));
    log.sequence = 120;
    log.write(&[("k1", Some("later"))], None);
    assert_eq!(log.partition.end(), 121);
}

#[test]
fn compressed_batches_stay_compressed() {
    for number in 1..=4 {
        let codec = (number, Codec::find(number).unwrap());
        let mut log = Log::in_memory();
        fill(&mut log, 40, Some(codec));
        log.compact(NOW).unwrap();
        assert_eq!(read_all(&log.partition), log.survivors());
        for segment in log.partition.segments().iter() {
            let mut scan = segment.scan();
            while let Some((batch, _)) = scan.next_batch().unwrap() {
                assert!(batch.compression() == number || batch.record_count == 0);
            }
        }
    }
}

#[test]
fn a_map_too_small_for_all_keys_takes_several_passes() {
    let mut log = Log::in_memory();
    fill(&mut log, 40, None);
    compact(&log.partition, &AT_ONCE, 128, NOW).unwrap();
    assert_eq!(read_all(&log.partition), log.survivors());
}

#[test]
fn tombstones_stay_for_a_while_and_then_go() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Log::at(directory.path());
    log.write(&[("k1", Some("one")), ("k2", Some("two"))], None);
    log.write(&[("k1", None)], None);
    let tombstone_at = 2;
    let has_tombstone = |log: &Log| read_all(&log.partition).iter().any(|entry| entry.0 == tombstone_at);
    let mut now = NOW;
    for round in 0..4 {
        for n in 0..8 {
            log.write(&[("k3", Some("filler")), (&format!("k{}", 4 + n % 4), Some("filler"))], None);
        }
        log.compact(now).unwrap();
        assert!(!read_all(&log.partition).iter().any(|entry| entry.0 == 0), "what was deleted is there");
        assert_eq!(has_tombstone(&log), now <= NOW + AT_ONCE.delete_retention_ms, "in round {round}");
        now += AT_ONCE.delete_retention_ms / 2;
        log.partition = open(directory.path());
    }
}

#[test]
fn sequence_numbers_go_on_even_if_nothing_else_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Log::at(directory.path());
    // One producer's only batch, whose key another one writes again and again.
    let bytes = testing::keyed_batch(Some((99, 0, 0)), &[(1_000, Some(b"k1"), Some(b"lone"))], None);
    let lone = Batch::verify(&bytes).unwrap();
    log.partition.append(lone, &bytes, NARROW, 0).unwrap();
    for _ in 0..30 {
        log.write(&[("k1", Some("value")), ("k1", Some("value"))], None);
    }
    log.compact(NOW).unwrap();
    let partition = log.partition;
    assert!(!read_all(&partition).iter().any(|entry| entry.0 == 0));
    drop(partition);
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "index") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let partition = open(directory.path());
    assert_eq!(partition.end(), 61);
    assert_eq!(partition.append(lone, &bytes, NARROW, 0).unwrap().base_offset, 0);
    let next = testing::keyed_batch(Some((99, 0, 5)), &[(1_000, Some(b"k1"), Some(b"gap"))], None);
    assert!(partition.append(Batch::verify(&next).unwrap(), &next, NARROW, 0).is_err());
}

#[test]
fn any_offset_can_be_read_from_and_any_time_looked_for() {
    let mut log = Log::in_memory();
    let large = "x".repeat(20_000);
    for n in 0..20 {
        let value = if n % 5 == 0 { large.as_str() } else { "small" };
        log.write(&[("k1", Some(value)), (&format!("k{}", n + 10), Some(value)), ("k2", Some(value))], None);
    }
    log.compact(NOW).unwrap();
    let left = read_all_large(&log.partition);
    for offset in 0..60 {
        let ReadPlan::Ready(read) = log.partition.plan_read(offset, 100, true) else { panic!("nothing at {offset}") };
        let bytes = read.run().unwrap();
        let batch = Batch::verify(&bytes).unwrap();
        assert!(batch.last_offset() >= offset);
        let expected = left.iter().map(|(base, _)| *base).find(|base| base + 2 >= offset).unwrap();
        assert_eq!(batch.base_offset, expected, "from {offset}");
        let found = timestamps::first_since(&log.partition, 1_000 + offset).unwrap();
        let expected = log.survivors().into_iter().find(|entry| entry.1 >= 1_000 + offset);
        assert_eq!(
            found.map(|found| (found.offset, found.timestamp)),
            expected.map(|entry| (entry.0, entry.1)),
            "at {offset}"
        );
    }
}

/// Base offsets and sizes of all batches.
fn read_all_large(partition: &Partition) -> Vec<(i64, usize)> {
    let mut batches = Vec::new();
    for segment in partition.segments().iter() {
        let mut scan = segment.scan();
        while let Some((batch, _)) = scan.next_batch().unwrap() {
            batches.push((batch.base_offset, batch.bytes));
        }
    }
    batches
}

#[test]
fn young_segments_and_mostly_clean_logs_wait() {
    let mut log = Log::in_memory();
    fill(&mut log, 40, None);
    let before = read_all(&log.partition);
    let lagging = CompactionRules { min_lag_ms: 500, ..AT_ONCE };
    let oldest_ms = log.partition.segments()[0].visible().max_timestamp;
    assert_eq!(compact(&log.partition, &lagging, MAP_BYTES, oldest_ms + 499).unwrap(), Some(oldest_ms + 500));
    assert_eq!(read_all(&log.partition), before);
    log.compact(NOW).unwrap();
    fill(&mut log, 5, None);
    let picky = CompactionRules { min_dirty_ratio: 0.9, max_lag_ms: 5_000_000, ..AT_ONCE };
    let before = read_all(&log.partition);
    let due_ms = compact(&log.partition, &picky, MAP_BYTES, NOW).unwrap().unwrap();
    assert_eq!(read_all(&log.partition), before);
    assert_eq!(compact(&log.partition, &picky, MAP_BYTES, due_ms + 1).unwrap(), None);
    assert_eq!(read_all(&log.partition), log.survivors());
}

#[test]
fn what_cannot_be_unpacked_stays() {
    let mut log = Log::in_memory();
    let mut bytes = testing::keyed_batch(None, &[(1_000, Some(b"k1"), Some(b"value"))], None);
    bytes[22] |= 1; // it says gzip, and is not
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    log.partition.append(Batch::verify(&bytes).unwrap(), &bytes, NARROW, 0).unwrap();
    fill(&mut log, 20, None);
    log.compact(NOW).unwrap();
    let mut scan = log.partition.segments()[0].scan().next_batch().unwrap().unwrap().1.to_vec();
    scan.truncate(bytes.len());
    assert_eq!(scan[21..], bytes[21..]);
}

#[test]
fn killed_at_any_point_it_loses_nothing_and_is_finished_later() {
    let mut crashes = 0;
    for steps in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::at(directory.path());
        fill(&mut log, 30, None);
        let survivors = log.survivors();
        faults::crash_after(steps);
        let killed = log.compact(NOW);
        faults::never_crash();
        log.partition = open(directory.path());
        let left = read_all(&log.partition);
        assert!(survivors.iter().all(|entry| left.contains(entry)), "killed after {steps} steps");
        assert!(left.iter().all(|entry| log.written.contains(entry)), "killed after {steps} steps");
        assert_eq!(log.partition.end(), 90, "killed after {steps} steps");
        log.compact(NOW).unwrap();
        assert_eq!(read_all(&log.partition), survivors, "killed after {steps} steps");
        fill(&mut log, 5, None);
        if killed.is_ok() {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 20, "only {crashes} points");
}

#[test]
fn random_logs_keep_what_they_must_through_kills_deletions_and_restarts() {
    for seed in 0..6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::at(directory.path());
        for _ in 0..40 {
            match random.random_range(0..10) {
                0 => log.partition = open(directory.path()),
                1 => {
                    faults::crash_after(random.random_range(0..30));
                    let _killed = log.compact(NOW);
                    faults::never_crash();
                    log.partition = open(directory.path());
                }
                2 => drop(compact(&log.partition, &AT_ONCE, random.random_range(1..400), NOW).unwrap()),
                3 if random.random_bool(0.3) => {
                    let start = random.random_range(log.partition.start()..=log.partition.end());
                    log.partition.trim(Some(start)).unwrap();
                    log.written.retain(|entry| entry.0 >= start);
                }
                _ => {
                    let codec = random.random_range(0..8);
                    let codec = Codec::find(codec).map(|found| (codec, found));
                    fill(&mut log, random.random_range(1..4), codec);
                }
            }
            let left = read_all(&log.partition);
            let start = log.partition.start();
            let left: Vec<_> = left.into_iter().filter(|entry| entry.0 >= start).collect();
            assert!(log.survivors().iter().all(|entry| left.contains(entry)), "seed {seed}");
            assert!(left.iter().all(|entry| log.written.contains(entry)), "seed {seed}");
        }
        log.compact(NOW).unwrap();
        let start = log.partition.start();
        let left: Vec<_> = read_all(&log.partition).into_iter().filter(|entry| entry.0 >= start).collect();
        assert_eq!(left, log.survivors(), "seed {seed}");
    }
}

#[test]
fn what_a_failure_interrupts_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Log::at(directory.path());
    fill(&mut log, 30, None);
    let before = read_all(&log.partition);
    let files = || std::fs::read_dir(directory.path()).unwrap().count();
    let count = files();
    match &log.partition.segments()[1].store {
        // Mapping reads it once; what fails is copying.
        Store::File(file) => *sync::lock(&file.faults.reads_left) = Some(1),
        Store::Memory(_) => panic!("no file"),
    }
    assert!(log.compact(NOW).is_err());
    assert_eq!((files(), log.partition.status()), (count, Status::Online));
    log.partition = open(directory.path());
    assert_eq!(read_all(&log.partition), before);
}
