//! A worker answers queries: from the run that it holds, or from one that it replays for the purpose and keeps.

use tidewright_owner::LogRecord;
use tidewright_schemas::{
    Failure, Payload, QueryAnswered, QueryBasis, QueryFailed, QueryFailedCause, QueryTask, Reply,
};

use crate::advance::{Cached, Wanted};
use crate::log::{Parcel, Place};
use crate::run::Run;
use crate::violation::{Checked, violation};
use crate::world::World;

impl World {
    pub(crate) fn answer_query(&mut self, at: usize, record: &LogRecord) -> Checked {
        let read = serde_json::from_slice::<QueryTask>(record.value.as_deref().unwrap_or_default());
        let query = read.map_err(|e| violation("r5_tasks_are_readable", e.to_string()))?;
        if query.expires_at_ms <= self.wall_ms() {
            self.stats.queries_expired += 1;
            return Ok(());
        }
        let to = Place::Replies(u32::try_from(query.reply_to.partition).unwrap_or(0));
        if self.is_stalled(&to) || self.goes_wrong(self.plan.faults.lose_reply) {
            return Ok(());
        }
        let known = if self.goes_wrong(self.plan.faults.worker_bug) { None } else { self.state_for(at, &query)? };
        let answer = match known {
            Some((basis, state)) => QueryAnswered { basis, query_result: Payload::new(&state).ok() }.into(),
            None => {
                let failure = Box::new(Failure::application("Simulated", "no history", false));
                QueryFailed { basis: None, cause: QueryFailedCause::ReplayFailed, failure }.into()
            }
        };
        let correlation_id = query.reply_to.correlation_id.clone();
        let reply = Reply { correlation_id, workflow_id: query.workflow_id.clone(), answer };
        let value = serde_json::to_vec(&reply).ok();
        self.land(Parcel { to, key: None, value, headers: Vec::new(), garbage: false }).map(drop)
    }

    /// The state that the worker tells of; none if it cannot come to it.
    fn state_for(&mut self, at: usize, query: &QueryTask) -> Checked<Option<(QueryBasis, u64)>> {
        if let Some(cached) = self.workers[at].cache.get(&query.run_id) {
            let basis = cached.basis();
            let is_later = basis.started_event_id > query.basis.started_event_id;
            if (is_later && !query.exact) || basis == query.basis {
                return Ok(Some((basis, cached.run.state())));
            }
        }
        let before = query.last_event_id + 1;
        let (workflow_id, run_id) = (&query.workflow_id, &query.run_id);
        let events = if query.events.is_empty() {
            self.fetch(Wanted { workflow_id, run_id, url: query.history_url.as_ref(), before })?
        } else {
            Some(query.events.clone())
        };
        let Some(events) = events else { return Ok(None) };
        let QueryBasis { completion_id, started_event_id } = query.basis.clone();
        let mut run = Run::default();
        for event in events.iter().take_while(|event| event.event_id <= started_event_id) {
            run.apply(event).map_err(|e| violation("r23_decisions_follow_history", e.to_string()))?;
        }
        let state = run.state();
        if events.iter().all(|event| event.attributes.closes_as().is_none()) {
            self.workers[at].cache.insert(run_id.clone(), Cached { run, completion_id, started_event_id });
        }
        Ok(Some((query.basis.clone(), state)))
    }
}

impl Cached {
    fn basis(&self) -> QueryBasis {
        QueryBasis { started_event_id: self.started_event_id, completion_id: self.completion_id.clone() }
    }
}
