//! Workflows that have state: what `#[workflow]` on an `impl` block makes, and what a person can write in its stead.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_client::{QueryDef, SignalDef};
use tidewright_replay::{Handled, Handlers};
use tidewright_schemas::{Failure, Payload, PayloadError};

use crate::convert::{from_payload, to_payload};
use crate::error::{WorkflowError, application};
use crate::workflow::StateCell;

/// The state of a workflow, with the handlers of its signals and queries. `#[workflow]` on an `impl` block implements it;
/// by hand:
///
/// ```
/// use tidewright::prelude::*;
/// use tidewright::{HandlerSet, QueryDef, WorkflowState};
///
/// struct Counter(u64);
///
/// impl Counter {
///     const RUN: WorkflowDef<u64, u64, Self> = WorkflowDef::with_state("Counter", |ctx, target| {
///         Box::pin(async move {
///             ctx.wait_for(|counter| counter.0 >= target).await?;
///             Ok(ctx.state(|counter| counter.0))
///         })
///     });
///     const ADD: SignalDef<u64, Self> = SignalDef::new("add");
///     const COUNT: QueryDef<(), u64, Self> = QueryDef::new("count");
/// }
///
/// impl WorkflowState for Counter {
///     type Input = u64;
///
///     fn init(_target: &u64) -> Self {
///         Self(0)
///     }
///
///     fn handlers(handlers: &mut HandlerSet<Self>) {
///         handlers.signal(Self::ADD, |counter, number| counter.0 += number);
///         handlers.query(Self::COUNT, |counter, ()| counter.0);
///     }
/// }
/// # let _ = Counter::RUN;
/// ```
pub trait WorkflowState: Send + Sized + 'static {
    /// What the workflow takes.
    type Input;

    /// The state with which a run begins. It must follow from the input alone.
    fn init(input: &Self::Input) -> Self;

    /// Adds the handlers of the workflow's signals and queries.
    fn handlers(handlers: &mut HandlerSet<Self>);
}

type SignalHandler<S> = Box<dyn Fn(&mut S, Option<&Payload>) -> Result<(), PayloadError> + Send>;
type QueryHandler<S> = Box<dyn Fn(&S, Option<&Payload>) -> Result<Payload, Box<Failure>> + Send>;
type StateView<S> = fn(&S) -> Option<Payload>;

/// The handlers of a workflow's signals and queries, by name.
pub struct HandlerSet<S> {
    signals: BTreeMap<&'static str, SignalHandler<S>>,
    queries: BTreeMap<&'static str, QueryHandler<S>>,
    view: Option<StateView<S>>,
    /// Whether the workflow has state at all.
    is_stateful: bool,
}

impl<S> HandlerSet<S> {
    pub(crate) fn none() -> Self {
        Self { signals: BTreeMap::new(), queries: BTreeMap::new(), view: None, is_stateful: false }
    }

    pub(crate) fn of_state() -> Self
    where
        S: WorkflowState,
    {
        let mut set = Self { is_stateful: true, ..Self::none() };
        S::handlers(&mut set);
        set
    }

    /// Adds a signal's handler. It runs before the workflow's code goes on, in the order of history. A signal whose input
    /// it cannot read is dropped, with an error in the worker's log and in its metrics: a sender's mistake must not stop
    /// the workflow.
    pub fn signal<T: DeserializeOwned>(
        &mut self,
        signal: SignalDef<T, S>,
        handler: impl Fn(&mut S, T) + Send + 'static,
    ) {
        let handler = move |state: &mut S, input: Option<&Payload>| {
            handler(state, from_payload(input)?);
            Ok(())
        };
        self.signals.insert(signal.name(), Box::new(handler));
    }

    /// Adds a query's handler, which only reads.
    pub fn query<I: DeserializeOwned, R: Serialize>(
        &mut self,
        query: QueryDef<I, R, S>,
        handler: impl Fn(&S, I) -> R + Send + 'static,
    ) {
        self.try_query(query, move |state, input| Ok(handler(state, input)));
    }

    /// Adds a query's handler, which only reads and may refuse to answer.
    pub fn try_query<I: DeserializeOwned, R: Serialize>(
        &mut self,
        query: QueryDef<I, R, S>,
        handler: impl Fn(&S, I) -> Result<R, WorkflowError> + Send + 'static,
    ) {
        let name = query.name();
        let handler = move |state: &S, input: Option<&Payload>| {
            let input = from_payload(input).map_err(|problem| {
                let message = format!("query `{name}` cannot read its input: {problem}");
                application("InputNotReadable".to_owned(), message, true)
            })?;
            let answer = handler(state, input).map_err(|error| Box::new(error.into_failure()))?;
            to_payload(&answer).map_err(|problem| {
                let message = format!("the answer of query `{name}` cannot be sent: {problem}");
                application(problem.error_type("Result"), message, true)
            })
        };
        self.queries.insert(name, Box::new(handler));
    }

    /// Sets how the whole state is shown to people who ask for it.
    pub fn view(&mut self, view: fn(&S) -> Option<Payload>) {
        self.view = Some(view);
    }

    /// What a run is given; none for a workflow without state.
    pub(crate) fn of(self, state: StateCell<S>) -> Option<Box<dyn Handlers>>
    where
        S: Send + 'static,
    {
        self.is_stateful.then(|| Box::new(OfState { state, set: self }) as Box<dyn Handlers>)
    }
}

/// The handlers of one run.
struct OfState<S> {
    state: StateCell<S>,
    set: HandlerSet<S>,
}

impl<S: Send> Handlers for OfState<S> {
    fn signal(&mut self, name: &str, input: Option<&Payload>) -> Handled {
        match self.set.signals.get(name).map(|handler| handler(&mut self.state.lock(), input)) {
            None => Handled::Unknown,
            Some(Ok(())) => Handled::Done,
            Some(Err(problem)) => Handled::Unreadable(problem.to_string()),
        }
    }

    fn query(&self, name: &str, input: Option<&Payload>) -> Option<Result<Payload, Box<Failure>>> {
        self.set.queries.get(name).map(|handler| handler(&self.state.lock(), input))
    }

    fn signal_names(&self) -> Vec<&'static str> {
        self.set.signals.keys().copied().collect()
    }

    fn query_names(&self) -> Vec<&'static str> {
        self.set.queries.keys().copied().collect()
    }

    fn state(&self) -> Option<Payload> {
        self.set.view.and_then(|view| view(&self.state.lock()))
    }
}
