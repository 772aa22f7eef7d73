//! Whoever speaks to workflows that run: each signal that a program waits for is sent, often more than once, and now and
//! then somebody asks a run to end or ends it.

use tidewright_core::read;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{
    Command, EventAttributes, Payload, RequestCancelWorkflow, RunId, SignalWorkflow, TerminateWorkflow, WorkflowId,
};

use crate::log::{Parcel, Place};
use crate::program::Step;
use crate::violation::Checked;
use crate::world::World;

impl World {
    /// Says something to one of the open runs, as history knows them.
    pub(crate) fn signaller_step(&mut self) -> Checked {
        let partition = self.dice.below(self.plan.partitions as usize) as u32;
        let rows = &self.truth[partition as usize].rows;
        let open: Vec<_> = read::list(rows, &[], 1_000)
            .unwrap_or_default()
            .into_iter()
            .filter(|(_, run)| run.status == WorkflowStatus::Running)
            .map(|(_, run)| (run.workflow_id, run.run_id))
            .collect();
        let Some((workflow_id, run_id)) = self.dice.pick(&open).cloned() else { return Ok(()) };
        let Some(command) = self.something_to_say(partition, &workflow_id, &run_id) else { return Ok(()) };
        let mut to = partition;
        // The signals of a channel come from one client, which knows the partitioner: so their order is that of the sends.
        let in_order = matches!(&command, Command::SignalWorkflow(signal) if signal.signal_name.starts_with('c'));
        if !in_order && self.goes_wrong(self.plan.faults.misplace) {
            to = self.dice.below(self.plan.partitions as usize) as u32;
        }
        let parcel = Parcel {
            to: Place::Commands(to),
            key: Some(workflow_id.as_str().as_bytes().to_vec()),
            value: serde_json::to_vec(&command).ok(),
            headers: Vec::new(),
            garbage: false,
        };
        if self.goes_wrong(self.plan.faults.duplicate) {
            self.land(parcel.clone())?;
        }
        self.land(parcel).map(drop)
    }

    fn something_to_say(&mut self, partition: u32, workflow_id: &WorkflowId, run_id: &RunId) -> Option<Command> {
        let run_id = Some(run_id.clone());
        if self.goes_wrong(self.plan.cancels) {
            return Some(RequestCancelWorkflow { run_id, ..RequestCancelWorkflow::default() }.into());
        }
        if self.goes_wrong(3) {
            let request_id = Some("terminate".to_owned());
            return Some(TerminateWorkflow { run_id, request_id, ..TerminateWorkflow::default() }.into());
        }
        let signals = self.program_of(partition, workflow_id, run_id.as_ref()?)?.signals(0);
        let (signal_name, values) = self.dice.pick(&signals)?.clone();
        let number = match values.as_slice() {
            [_] => 0,
            _ => self.next_of_channel(run_id.as_ref()?, &signal_name, values.len()),
        };
        let request = format!("{signal_name}-{number}");
        let heard = self.has_heard(partition, workflow_id, run_id.as_ref()?, &request);
        // Once it was heard a repeat is rare, but it happens.
        if heard && !self.dice.chance(50) {
            return None;
        }
        let signal = SignalWorkflow {
            run_id,
            request_id: Some(request),
            signal_name,
            input: Payload::new(values.get(number)?).ok(),
            ..SignalWorkflow::default()
        };
        self.progress += u64::from(!heard);
        Some(signal.into())
    }

    /// Which of a channel's signals is sent now: the next one, or one that was sent before.
    fn next_of_channel(&mut self, run_id: &RunId, signal_name: &str, count: usize) -> usize {
        let sent = self.client.sent.entry((run_id.clone(), signal_name.to_owned())).or_default();
        if *sent == count {
            return self.dice.below(count);
        }
        *sent += 1;
        *sent - 1
    }

    fn program_of(&self, partition: u32, workflow_id: &WorkflowId, run_id: &RunId) -> Option<Step> {
        let events = self.truth[partition as usize].histories.get(&(workflow_id.clone(), run_id.clone()))?;
        match &events.first()?.attributes {
            EventAttributes::WorkflowExecutionStarted(started) => started.input.as_ref()?.read().ok(),
            _ => None,
        }
    }

    fn has_heard(&self, partition: u32, workflow_id: &WorkflowId, run_id: &RunId, request: &str) -> bool {
        let events = self.truth[partition as usize].histories.get(&(workflow_id.clone(), run_id.clone()));
        events.into_iter().flatten().any(|event| {
            let EventAttributes::WorkflowExecutionSignaled(signal) = &event.attributes else { return false };
            signal.request_id.as_deref() == Some(request)
        })
    }
}
