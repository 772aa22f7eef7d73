//! `given(…).when(…).then_events(…)`.

use tidewright_core::read;
use tidewright_schemas::api::{WorkflowDescription, WorkflowOutcome};
use tidewright_schemas::{Answer, EventAttributes, HistoryEvent, Rejected, RowFact, RunId};

use super::commands::Ask;
use super::{ORDER, World, words, workflow_id};

pub fn given(past: impl FnOnce(&mut World) -> &mut World) -> World {
    let mut world = World::default();
    past(&mut world);
    world
}

impl World {
    /// A command arrives, a second after the one before unless [`World::after`] says otherwise.
    pub fn when(&mut self, ask: impl Ask) -> &mut Self {
        self.now_ms += 1_000;
        self.at_once(ask)
    }

    /// A command arrives at this very time.
    pub fn at_once(&mut self, ask: impl Ask) -> &mut Self {
        let request = ask.request(self);
        self.take(&request)
    }

    /// The time comes at which this is due, and it fires.
    pub fn when_due(&mut self, target: tidewright_schemas::TimerTarget) -> &mut Self {
        let due = self.due().into_iter().find(|timer| timer.target == target);
        let timer = due.unwrap_or_else(|| panic!("nothing waits for {target:?}: {:?}", self.due()));
        self.now_ms = self.now_ms.max(timer.due_ms);
        self.take(&super::commands::fire(&timer))
    }

    pub fn after(&mut self, ms: u64) -> &mut Self {
        self.now_ms += ms;
        self
    }

    #[track_caller]
    pub fn then_events<const N: usize>(&mut self, expected: [&str; N]) -> &mut Self {
        let events: Vec<_> = self.step.events.iter().map(words::event).collect();
        assert_eq!(events, expected, "events");
        self
    }

    #[track_caller]
    pub fn then_facts<const N: usize>(&mut self, expected: [&str; N]) -> &mut Self {
        let facts: Vec<_> = self.step.facts.iter().map(words::fact).collect();
        assert_eq!(facts, expected, "facts");
        self
    }

    #[track_caller]
    pub fn then_effects<const N: usize>(&mut self, expected: [&str; N]) -> &mut Self {
        let effects: Vec<_> = self.step.effects.iter().map(words::effect).collect();
        assert_eq!(effects, expected, "effects");
        self
    }

    #[track_caller]
    pub fn then_nothing(&mut self) -> &mut Self {
        assert!(self.step.nothing, "something happened: {:?}", self.step);
        self
    }

    #[track_caller]
    pub fn then_early_by(&mut self, wait_ms: u64) -> &mut Self {
        assert_eq!(self.step.early_ms, Some(wait_ms), "{:?}", self.step);
        self
    }

    /// Rejected, with an answer, and nothing else.
    #[track_caller]
    pub fn then_rejected(&mut self, code: &str) -> &mut Self {
        self.then_events([]).then_facts([&format!("Answered Rejected {code}")]);
        self.then_effects([&format!("reply Rejected {code}")])
    }

    /// Rejected with nobody to answer: to the dead letters (R8).
    #[track_caller]
    pub fn then_dead_lettered(&mut self, code: &str) -> &mut Self {
        self.then_events([]).then_facts([&format!("DeadLettered {code}")]);
        self.then_effects([&format!("dead letter {code}")])
    }

    /// The rejection that was answered.
    #[track_caller]
    pub fn rejection(&self) -> &Rejected {
        match self.step.facts.as_slice() {
            [RowFact::Answered(answered)] => match &answered.answer {
                Answer::Rejected(rejected) => rejected,
                other => panic!("no rejection: {other:?}"),
            },
            other => panic!("no rejection: {other:?}"),
        }
    }

    /// An event of the last step.
    #[track_caller]
    pub fn event(&self, event_type: &str) -> &HistoryEvent {
        let found = self.step.events.iter().find(|event| event.attributes.event_type() == event_type);
        found.unwrap_or_else(|| panic!("no {event_type} in {:?}", self.step.events))
    }

    pub fn attributes(&self, event_type: &str) -> &EventAttributes {
        &self.event(event_type).attributes
    }

    /// The current run of the workflow that tests speak of.
    pub fn run_id(&self) -> RunId {
        self.run_of(ORDER)
    }

    pub fn run_of(&self, id: &str) -> RunId {
        read::find_run(&self.rows, &workflow_id(id), None).unwrap().expect("the workflow was started")
    }

    pub fn describe(&self) -> WorkflowDescription {
        read::describe(&self.rows, &workflow_id(ORDER), &self.run_id()).unwrap().expect("the run is there")
    }

    pub fn outcome(&self) -> WorkflowOutcome {
        read::outcome(&self.rows, &workflow_id(ORDER), &self.run_id()).unwrap().expect("the run is there")
    }

    /// The whole history.
    pub fn history(&self) -> Vec<HistoryEvent> {
        self.whole_history(&workflow_id(ORDER), &self.run_id())
    }
}
