use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::super::faults::Faults;
use super::super::fsync::{Flusher, Fsync};
use super::super::store::LogFile;
use super::*;

struct Scene {
    directory: tempfile::TempDir,
    context: LogContext,
    journal: Arc<SyncedJournal<u32>>,
}

impl Scene {
    fn new(fsync: Fsync) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let context = LogContext::new(fsync, 10);
        let journal = SyncedJournal::open(&directory.path().join("x.journal"), context.clone()).unwrap().0;
        Self { directory, context, journal }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("x.journal")
    }

    fn append(&self, entry: u32) -> io::Result<Mark> {
        self.journal.writer().append(&[entry])
    }

    fn file(&self) -> Arc<LogFile> {
        sync::lock(&self.journal.written).journal.file.as_ref().unwrap().1.clone()
    }

    fn syncs(&self) -> u64 {
        self.file().faults.syncs.load(Ordering::Acquire)
    }

    fn reopened(&self) -> Vec<u32> {
        Journal::open(&self.path()).unwrap().1
    }
}

fn fail(fault: impl Fn(&Faults) -> &AtomicBool, file: &LogFile, fails: bool) {
    fault(&file.faults).store(fails, Ordering::Release);
}

#[tokio::test]
async fn with_every_one_sync_is_waited_for_and_covers_all_that_came() {
    let scene = Scene::new(Fsync::Every);
    let marks: Vec<Mark> = (0..10).map(|n| scene.append(n).unwrap()).collect();
    let mut waiting: Vec<_> = marks.iter().map(|mark| Box::pin(scene.journal.synced(*mark))).collect();
    for waiter in &mut waiting {
        assert!(is_pending(waiter.as_mut()).await);
    }
    scene.journal.flush();
    for waiter in waiting {
        waiter.await.unwrap();
    }
    assert_eq!(scene.syncs(), 1);
    scene.journal.flush();
    assert_eq!(scene.syncs(), 1, "there is nothing more to sync");
}

/// Polls once.
async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test]
async fn otherwise_nobody_waits_and_the_end_of_the_broker_syncs() {
    for (fsync, queued) in [(Fsync::Interval(Duration::from_secs(1_000)), true), (Fsync::Os, false)] {
        let scene = Scene::new(fsync);
        let mark = scene.append(1).unwrap();
        scene.journal.synced(mark).await.unwrap();
        assert_eq!((scene.syncs(), sync::lock(&scene.journal.written).is_queued), (0, queued), "{fsync:?}");
        scene.journal.flush();
        assert_eq!(scene.syncs(), 1, "{fsync:?}");
    }
}

#[tokio::test]
async fn with_interval_the_queue_syncs() {
    let scene = Scene::new(Fsync::Interval(Duration::from_millis(1)));
    let _flusher = Flusher::start(scene.context.flush_queue.clone()).unwrap();
    for round in 0..3 {
        let mark = scene.append(round).unwrap();
        scene.journal.waiters.until(|| scene.journal.is_synced(mark).then_some(())).await;
    }
    assert!(scene.syncs() >= 3);
}

#[tokio::test]
async fn a_failed_sync_is_told_to_all_who_wait_and_to_all_who_come() {
    let scene = Scene::new(Fsync::Every);
    let first = scene.append(1).unwrap();
    scene.journal.flush();
    fail(|faults| &faults.fail_syncs, &scene.file(), true);
    let second = scene.append(2).unwrap();
    let journal = scene.journal.clone();
    let waiting = tokio::spawn(async move { journal.synced(second).await });
    tokio::task::yield_now().await;
    scene.journal.flush();
    assert!(waiting.await.unwrap().is_err());
    scene.journal.synced(first).await.unwrap();
    // A disk that works again may have dropped what it could not write.
    fail(|faults| &faults.fail_syncs, &scene.file(), false);
    scene.journal.flush();
    assert!(scene.journal.synced(second).await.is_err());
    assert!(scene.append(3).is_err());
    assert!(scene.journal.compact(|| vec![1, 2]).is_err());
    assert!(!scene.journal.is_bloated(|| 0));
    assert_eq!(scene.reopened(), [1, 2]);
}

#[test]
fn a_full_disk_fails_one_write_and_the_next_ones_go_on() {
    let scene = Scene::new(Fsync::Os);
    scene.append(1).unwrap();
    fail(|faults| &faults.fail_writes, &scene.file(), true);
    assert!(scene.append(2).is_err());
    fail(|faults| &faults.fail_writes, &scene.file(), false);
    scene.append(3).unwrap();
    assert_eq!(scene.reopened(), [1, 3]);
}

#[test]
fn a_torn_end_that_could_not_be_cut_off_is_cut_off_before_the_next_write() {
    let scene = Scene::new(Fsync::Os);
    scene.append(1).unwrap();
    let file = scene.file();
    let whole = file.length().unwrap();
    file.write(whole, b"torn").unwrap();
    sync::lock(&scene.journal.written).journal.torn_at = Some(whole);
    scene.append(2).unwrap();
    assert_eq!(scene.reopened(), [1, 2]);
}

#[tokio::test]
async fn what_a_rewrite_takes_over_is_synced() {
    let scene = Scene::new(Fsync::Every);
    let mark = (0..10).map(|n| scene.append(n).unwrap()).max().unwrap();
    scene.journal.compact(|| vec![7]).unwrap();
    scene.journal.synced(mark).await.unwrap();
    let later = scene.append(8).unwrap();
    assert!(is_pending(Box::pin(scene.journal.synced(later)).as_mut()).await);
    scene.journal.flush();
    scene.journal.synced(later).await.unwrap();
    assert_eq!(scene.reopened(), [7, 8]);
}

#[test]
fn nothing_is_kept_in_memory_and_nothing_waits() {
    let journal = SyncedJournal::<u32>::in_memory(LogContext::new(Fsync::Every, 10));
    assert_eq!(journal.writer().append(&[1]).unwrap(), Mark::default());
    journal.flush();
}

/// How many entries would be left if the power were lost now.
fn left_by_a_loss_of_power(scene: &Scene) -> usize {
    let synced = scene.file().faults.synced.load(Ordering::Acquire) as usize;
    let bytes = std::fs::read(scene.path()).unwrap();
    let left = tempfile::tempdir().unwrap();
    let path = left.path().join("x.journal");
    std::fs::write(&path, &bytes[..synced]).unwrap();
    Journal::<u32>::open(&path).unwrap().1.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_a_loss_of_power_takes_nothing_that_was_acknowledged() {
    let scene = Scene::new(Fsync::Every);
    let _flusher = Flusher::start(scene.context.flush_queue.clone()).unwrap();
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let committers: Vec<_> = (0..4)
        .map(|_| {
            let (journal, acknowledged) = (scene.journal.clone(), acknowledged.clone());
            tokio::spawn(async move {
                for n in 0..100 {
                    let mark = journal.writer().append(&[n]).unwrap();
                    journal.synced(mark).await.unwrap();
                    acknowledged.fetch_add(1, Ordering::AcqRel);
                }
            })
        })
        .collect();
    while !committers.iter().all(|committer| committer.is_finished()) {
        let promised = acknowledged.load(Ordering::Acquire);
        let left = left_by_a_loss_of_power(&scene);
        assert!(left >= promised, "{left} of {promised} are left");
        tokio::task::yield_now().await;
    }
    for committer in committers {
        committer.await.unwrap();
    }
    assert!(scene.syncs() <= 400);
    assert_eq!(left_by_a_loss_of_power(&scene), 400);
}
