//! Events, facts and effects in as few words as a test needs to tell them apart.

use tidewright_core::Effect;
use tidewright_schemas::{
    Answer, ControlMessage, EventAttributes, HistoryEvent, RetryState, RowFact, TaskKind, WorkersTold,
};

pub fn event(event: &HistoryEvent) -> String {
    let name = event.attributes.event_type();
    match &event.attributes {
        EventAttributes::WorkflowTaskScheduled(e) if e.attempt > 1 => format!("{name} #{}", e.attempt),
        EventAttributes::WorkflowTaskFailed(e) => format!("{name} {:?}", e.cause),
        EventAttributes::WorkflowTaskTimedOut(e) => format!("{name} {:?}", e.timeout_type),
        EventAttributes::ActivityTaskScheduled(e) => format!("{name} {}", e.activity_id),
        EventAttributes::ActivityTaskStarted(e) => format!("{name} #{}", e.attempt),
        EventAttributes::ActivityTaskFailed(e) => format!("{name} {}", state(e.retry_state)),
        EventAttributes::ActivityTaskTimedOut(e) => format!("{name} {}", state(e.retry_state)),
        EventAttributes::WorkflowExecutionSignaled(e) => format!("{name} {}", e.signal_name),
        EventAttributes::TimerStarted(e) => format!("{name} {}", e.timer_id),
        EventAttributes::TimerFired(e) => format!("{name} {}", e.timer_id),
        EventAttributes::TimerCanceled(e) => format!("{name} {}", e.timer_id),
        _ => name.to_owned(),
    }
}

fn state(state: RetryState) -> String {
    format!("{state:?}")
}

pub fn fact(fact: &RowFact) -> String {
    let name = fact.type_name();
    match fact {
        RowFact::EventBuffered(f) => f.events.iter().map(event).collect::<Vec<_>>().join(" + ") + " (buffered)",
        RowFact::BufferFlushed(f) => format!("{name} {}", f.count),
        RowFact::WorkflowTaskDispatched(f) => format!("{name} #{}", f.attempt),
        RowFact::WorkflowTaskRetryScheduled(f) => format!("{name} #{}", f.attempt),
        RowFact::WorkflowTaskDelivered(f) => format!("{name} {} times", f.deliveries),
        RowFact::ActivityDelivered(f) => format!("{name} {} times", f.deliveries),
        RowFact::ActivityStarted(f) => format!("{name} #{} by {}", f.attempt, f.worker.identity),
        RowFact::ActivityRetryScheduled(f) => format!("{name} #{}", f.attempt),
        RowFact::ActivityDispatched(f) => format!("{name} #{}", f.attempt),
        RowFact::Answered(f) => format!("{name} {}", answer(&f.answer)),
        RowFact::DeadLettered(f) => format!("{name} {}", f.code),
        RowFact::DetachedActivityClosed(f) => format!("{name} {}", if f.failure.is_some() { "failed" } else { "ok" }),
        RowFact::ActivityHeartbeatRecorded(f) => format!("{name} #{}", f.attempt),
        RowFact::WorkersTold(f) => told(f),
        RowFact::DeletionAdvanced(f) => format!("{name} {}", f.step),
        RowFact::OriginSeen(_) | RowFact::RequestAttached(_) | RowFact::RunDeleted(_) | RowFact::RunForgotten(_) => {
            name.to_owned()
        }
    }
}

fn answer(answer: &Answer) -> String {
    match answer {
        Answer::WorkflowStarted(started) if !started.started => "WorkflowStarted before".to_owned(),
        Answer::WorkflowStarted(_) | Answer::RequestAccepted(_) => answer.type_name().to_owned(),
        Answer::TaskConfirmed(confirmed) => format!("{:?}", confirmed.verdict),
        Answer::Rejected(rejected) => format!("Rejected {}", rejected.code),
        Answer::QueryAnswered(_) | Answer::QueryFailed(_) => panic!("a worker's answer is no fact of history"),
    }
}

pub fn told(told: &WorkersTold) -> String {
    let message = match &told.message {
        ControlMessage::ActivityCancelRequested(m) => format!("to cancel activity {}", m.scheduled_event_id),
        ControlMessage::ActivityClosed(m) => format!("that activity {} is closed", m.scheduled_event_id),
        ControlMessage::RunClosed(_) => "that the run is closed".to_owned(),
        // Nodes offer tasks by what they hear of workers; it follows from no record.
        ControlMessage::ActivityTaskOffered(_) => "that a task is offered".to_owned(),
    };
    format!("{} told {message}", told.task_queues.join(" and "))
}

pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Task { task, .. } => {
            let kind = match task.kind {
                TaskKind::Workflow => "workflow task",
                TaskKind::Activity => "activity task",
            };
            format!("{kind} {}#{}", task.scheduled_event_id, task.attempt)
        }
        Effect::Reply { answered, .. } => format!("reply {}", answer(&answered.answer)),
        Effect::Tell(tell) => told(tell),
        Effect::DeadLetter(dead) => format!("dead letter {}", dead.code),
    }
}
