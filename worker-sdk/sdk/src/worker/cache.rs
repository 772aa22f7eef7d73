//! Runs that this worker has advanced and keeps, so that their next task brings only what is new. The least recently
//! used ones leave when there are too many.

use std::collections::{BTreeMap, HashMap};

use tidewright_replay::Run;
use tidewright_schemas::{QueryBasis, QueryTask, RunId, WorkflowTask};

use super::measure::CacheMeters;

/// A run as it was left by this worker's last completion.
pub(crate) struct CachedRun {
    pub(crate) run: Run,
    /// Id of that completion: the run is good only for a task that builds on it (R23).
    pub(crate) completion_id: String,
    pub(crate) started_event_id: u64,
    /// Token of the task that it completed.
    pub(crate) token: String,
}

impl CachedRun {
    /// Whether the task goes on where this run stands.
    pub(crate) fn fits(&self, task: &WorkflowTask) -> bool {
        task.previous_completion_id.as_ref() == Some(&self.completion_id)
            && task.previous_started_event_id == self.started_event_id
    }

    /// Whether the query may be answered from this run: it stands where the query asks, or later if that will do. Whether
    /// what came later was accepted is for the asker to find out.
    pub(crate) fn answers(&self, query: &QueryTask) -> bool {
        let is_later = self.started_event_id > query.basis.started_event_id;
        if is_later { !query.exact } else { self.basis() == query.basis }
    }

    /// The state that it is in.
    pub(crate) fn basis(&self) -> QueryBasis {
        QueryBasis { started_event_id: self.started_event_id, completion_id: self.completion_id.clone() }
    }
}

/// A bounded set of runs.
pub(crate) struct Cache {
    runs: HashMap<RunId, (u64, CachedRun)>,
    by_use: BTreeMap<u64, RunId>,
    uses: u64,
    runs_max: usize,
    meters: CacheMeters,
}

impl Cache {
    pub(crate) fn new(runs_max: usize, meters: CacheMeters) -> Self {
        Self { runs: HashMap::new(), by_use: BTreeMap::new(), uses: 0, runs_max, meters }
    }

    /// Takes a run out; it is put back once it has been advanced.
    pub(crate) fn take(&mut self, run_id: &RunId) -> Option<CachedRun> {
        let (used, run) = self.runs.remove(run_id)?;
        self.by_use.remove(&used);
        self.tell_size();
        Some(run)
    }

    /// Takes a run out if it can answer a query.
    pub(crate) fn take_for(&mut self, query: &QueryTask) -> Option<CachedRun> {
        let (_, run) = self.runs.get(&query.run_id)?;
        if run.answers(query) { self.take(&query.run_id) } else { None }
    }

    /// Keeps a run that was replayed for a query, unless there is one that stands later.
    pub(crate) fn offer(&mut self, run_id: RunId, run: CachedRun) {
        let is_better = self.runs.get(&run_id).is_none_or(|(_, held)| held.started_event_id <= run.started_event_id);
        if is_better {
            self.put(run_id, run);
        }
    }

    pub(crate) fn put(&mut self, run_id: RunId, run: CachedRun) {
        drop(self.take(&run_id));
        self.uses += 1;
        self.by_use.insert(self.uses, run_id.clone());
        self.runs.insert(run_id, (self.uses, run));
        while self.runs.len() > self.runs_max {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.runs.remove(&oldest);
            self.meters.evicted.increment(1);
        }
        self.tell_size();
    }

    #[expect(clippy::cast_precision_loss, reason = "the cache is bounded far below 2^52")]
    fn tell_size(&self) {
        self.meters.size.set(self.runs.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use tidewright_replay::{RunInfo, WorkflowFuture};
    use tidewright_schemas::WorkflowId;

    use super::*;

    fn cached(run_id: &RunId) -> CachedRun {
        let info = RunInfo {
            namespace: "default".to_owned(),
            workflow_id: WorkflowId::new("w").unwrap(),
            run_id: run_id.clone(),
            workflow_type: "T".to_owned(),
        };
        let run = Run::new(info, Box::new(|_, _| (Box::pin(std::future::pending()) as WorkflowFuture).into()));
        CachedRun { run, completion_id: "c".to_owned(), started_event_id: 3, token: "t".to_owned() }
    }

    #[test]
    fn the_least_recently_used_run_leaves() {
        let mut cache = Cache::new(2, CacheMeters::new("default", "q"));
        let ids = ["a", "b", "c"].map(RunId::from_text);
        cache.put(ids[0].clone(), cached(&ids[0]));
        cache.put(ids[1].clone(), cached(&ids[1]));
        let a = cache.take(&ids[0]).unwrap();
        cache.put(ids[0].clone(), a);
        cache.put(ids[2].clone(), cached(&ids[2]));
        assert!(cache.take(&ids[1]).is_none());
        assert!(cache.take(&ids[0]).is_some() && cache.take(&ids[2]).is_some());
        assert!(cache.by_use.is_empty());
    }

    #[test]
    fn a_cache_of_nothing_keeps_nothing() {
        let mut cache = Cache::new(0, CacheMeters::new("default", "q"));
        let id = RunId::from_text("a");
        cache.put(id.clone(), cached(&id));
        assert!(cache.take(&id).is_none());
    }
}
