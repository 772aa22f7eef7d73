//! Sending effects, and what follows when one is not delivered (R18, R19).

use tidewright_core::{Rows, RowsError, Store, activity_task, workflow_task};
use tidewright_schemas::{
    Answered, Command, EffectFailed, EffectFailure, Reply, TaskId, TaskKind, TraceContext, WorkersTold, WorkflowId,
    api, headers,
};

use crate::codec::{self, json, json_header, version_header};
use crate::in_flight::Sent;
use crate::io::{Action, BacklogKey, Destination, EffectId, Outbound, SendFailure, Stop};
use crate::owner::{Identity, Owner};

impl Identity {
    /// A task's record; none if state does not want it any more.
    pub(crate) fn outbound_task<R: Rows>(
        &self,
        rows: &R,
        workflow_id: &WorkflowId,
        task: &TaskId,
        possible_repeat: bool,
    ) -> Result<Option<Outbound>, RowsError> {
        let mut any_partition = false;
        let (kind, found) = match task.kind {
            TaskKind::Workflow => {
                let found = workflow_task(rows, &self.namespace, workflow_id, task, possible_repeat)?;
                let sealed = found.map(|mut outgoing| {
                    outgoing.task.token = self.authority.seal(&outgoing.token);
                    outgoing.task.history_url = self.history_url(workflow_id, task);
                    (outgoing.task_queue, json(&outgoing.task), outgoing.traceparent)
                });
                (TaskKind::Workflow, sealed)
            }
            TaskKind::Activity => {
                let found = activity_task(rows, &self.namespace, workflow_id, task, possible_repeat)?;
                let sealed = found.map(|mut outgoing| {
                    any_partition = outgoing.any_partition;
                    outgoing.task.token = self.authority.seal(&outgoing.token);
                    (outgoing.task_queue, json(&outgoing.task), outgoing.traceparent)
                });
                (TaskKind::Activity, sealed)
            }
        };
        let Some((task_queue, value, traceparent)) = found else { return Ok(None) };
        let mut headers =
            vec![json_header(), version_header(), (headers::TASK.to_owned(), task.to_string().into_bytes())];
        if possible_repeat {
            headers.push((headers::POSSIBLE_REPEAT.to_owned(), b"true".to_vec()));
        }
        if let Some(traceparent) = self.traceparent_of(task, traceparent) {
            headers.push((headers::TRACEPARENT.to_owned(), traceparent.into_bytes()));
        }
        // A run's workflow tasks stay with one worker. An activity task and its repeats share a partition, so that the
        // one that is not marked is never met after the one that is (ADR 0004). One that a worker handed back, or was
        // lost with, goes where there is room: each of its copies needs a grant.
        let key = match kind {
            TaskKind::Workflow => Some(workflow_id.as_str().to_owned()),
            TaskKind::Activity => (!any_partition).then(|| task.to_string()),
        };
        let to = Destination::Tasks(BacklogKey { kind, task_queue });
        Ok(Some(Outbound { to, key: key.map(String::into_bytes), value: Some(value), headers }))
    }

    /// What a task's span is to be a child of: with traces its run's or its activity's span, else what started the run.
    fn traceparent_of(&self, task: &TaskId, started: Option<String>) -> Option<String> {
        let Some(new_traces) = self.new_traces else { return started };
        let run = TraceContext::of_run(&task.run_id, started.as_deref(), new_traces);
        let context = match task.kind {
            TaskKind::Workflow => run,
            TaskKind::Activity => run.at_event(&task.run_id, task.scheduled_event_id),
        };
        Some(context.to_string())
    }

    fn history_url(&self, workflow_id: &WorkflowId, task: &TaskId) -> Option<String> {
        let http_url = self.http_url.as_ref()?;
        Some(api::history_url(http_url, &self.namespace, workflow_id, &task.run_id))
    }
}

impl<S: Store> Owner<S> {
    /// Sends something; the source, if there is one, must be held.
    pub(crate) fn send(
        &mut self,
        source: Option<u64>,
        task: Option<(WorkflowId, TaskId)>,
        outbound: Outbound,
        actions: &mut Vec<Action>,
    ) {
        let id = self.in_flight.add(Sent { outbound: outbound.clone(), source, task });
        actions.push(Action::Send(id, outbound));
    }

    pub(crate) fn send_task(
        &mut self,
        source: u64,
        workflow_id: &WorkflowId,
        task: &TaskId,
        possible_repeat: bool,
        actions: &mut Vec<Action>,
    ) -> Result<(), Stop> {
        if let Some(outbound) = self.identity.outbound_task(&self.store, workflow_id, task, possible_repeat)? {
            self.send(Some(source), Some((workflow_id.clone(), task.clone())), outbound, actions);
        }
        Ok(())
    }

    pub(crate) fn send_reply(
        &mut self,
        source: u64,
        workflow_id: WorkflowId,
        answered: Answered,
        actions: &mut Vec<Action>,
    ) {
        let key = workflow_id.as_str().as_bytes().to_vec();
        let Answered { reply_to, answer } = answered;
        let reply = Reply { correlation_id: reply_to.correlation_id, workflow_id, answer };
        let to = Destination::Replies(reply_to.partition);
        let headers = vec![json_header(), version_header()];
        self.send(Some(source), None, Outbound { to, key: Some(key), value: Some(json(&reply)), headers }, actions);
    }

    /// Tells the workers of task queues something.
    pub(crate) fn send_told(&mut self, source: u64, told: &WorkersTold, actions: &mut Vec<Action>) {
        let value = json(&told.message);
        for task_queue in &told.task_queues {
            let to = Destination::Control(task_queue.clone());
            let headers = vec![json_header(), version_header()];
            self.send(Some(source), None, Outbound { to, key: None, value: Some(value.clone()), headers }, actions);
        }
    }

    /// Sends an internal command to the own partition.
    pub(crate) fn send_internal(
        &mut self,
        source: Option<u64>,
        workflow_id: &WorkflowId,
        command: &Command,
        actions: &mut Vec<Action>,
    ) {
        let outbound = codec::internal(workflow_id, command, self.identity.partition, &self.identity.authority);
        self.send(source, None, outbound, actions);
    }

    pub(crate) fn delivered(&mut self, id: EffectId) {
        self.in_flight.done(id);
    }

    pub(crate) fn not_delivered(
        &mut self,
        id: EffectId,
        failure: SendFailure,
        message: &str,
        actions: &mut Vec<Action>,
    ) -> Result<(), Stop> {
        let Some(sent) = self.in_flight.get(id) else { return Ok(()) };
        let SendFailure::Permanent(reason) = failure else {
            // It may have landed all the same: a task that is sent again says so (R25).
            actions.extend(self.in_flight.again(id).map(|outbound| Action::Send(id, outbound)));
            return Ok(());
        };
        match sent.outbound.to.clone() {
            Destination::Tasks(_) => self.task_undeliverable(id, reason, message, actions),
            Destination::Commands(partition) if partition == self.identity.partition => {
                return Err(Stop::CannotAppend(message.to_owned()));
            }
            Destination::DeadLetters if reason == EffectFailure::TooLarge && sent.outbound.value.is_some() => {
                self.dead_letter_without_value(id, actions);
            }
            Destination::Commands(_) | Destination::DeadLetters => {
                let (to, source) = (&sent.outbound.to, sent.source);
                tracing::error!(
                    ?to,
                    ?source,
                    ?reason,
                    message,
                    "[TW0305] a record cannot be forwarded or put aside; it stays in the commands topic until it is deleted there"
                );
                self.in_flight.done(id);
            }
            Destination::Control(task_queue) => {
                tracing::warn!(task_queue, ?reason, message, "workers cannot be told; they hear it at their next word");
                self.in_flight.done(id);
            }
            Destination::Replies(partition) => {
                tracing::warn!(partition, ?reason, message, "an answer cannot be delivered; the caller will ask again");
                self.in_flight.done(id);
            }
        }
        Ok(())
    }

    /// What cannot be delivered becomes a command of its own, which stands in for the delivery (R19).
    fn task_undeliverable(&mut self, id: EffectId, reason: EffectFailure, message: &str, actions: &mut Vec<Action>) {
        let Some(sent) = self.in_flight.get(id) else { return };
        let source = sent.source;
        if let Some((workflow_id, task)) = sent.task.clone() {
            tracing::warn!(%workflow_id, task = %task, ?reason, message, "[TW0303] a task cannot be sent to its task queue");
            let message: String = message.chars().take(1_000).collect();
            self.send_internal(source, &workflow_id, &EffectFailed { task, reason, message }.into(), actions);
        }
        self.in_flight.done(id);
    }

    /// A dead letter that is too large goes without its value; its headers say where it was and how large.
    fn dead_letter_without_value(&mut self, id: EffectId, actions: &mut Vec<Action>) {
        let Some(sent) = self.in_flight.get(id) else { return };
        let (source, mut outbound) = (sent.source, sent.outbound.clone());
        let size = outbound.value.take().map_or(0, |value| value.len());
        outbound.headers.push((headers::OMITTED_BYTES.to_owned(), size.to_string().into_bytes()));
        self.send(source, None, outbound, actions);
        self.in_flight.done(id);
    }
}
