//! Every way in which an order may end: the workflow is replayed, its activities run for real, in process.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use order_fulfilment::activities::{Mail, Orders, Payments, Shipping};
use order_fulfilment::services::InMemoryMailer;
use order_fulfilment::types::{Item, Order, OrderResult, Outcome};
use order_fulfilment::{Services, order_workflow};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright::prelude::*;
use tidewright_replay::{Run, RunInfo};
use tidewright_schemas::{Decision, Failure, HistoryEvent, Payload, RunId, ScheduleActivity, WorkflowId};

/// How a run ended, and which activities ran on the way.
struct Ended {
    result: Result<OrderResult, Failure>,
    ran: Vec<String>,
    mails: usize,
}

/// A run with its history and the world.
struct World {
    run: Run,
    last_event_id: u64,
    orders: Orders,
    payments: Payments,
    shipping: Shipping,
    mail: Mail,
    ran: Vec<String>,
}

fn order(card: &str, address: &str) -> Order {
    Order {
        order_id: "order-1".to_owned(),
        customer: "ada@example.com".to_owned(),
        items: vec![Item { sku: "tide-clock".to_owned(), quantity: 2 }],
        amount_cents: 4_200,
        card: card.to_owned(),
        address: address.to_owned(),
    }
}

async fn fulfil(order: Order) -> Ended {
    let mailer = Arc::new(InMemoryMailer::default());
    let Services { gateway, carrier, audit, .. } = Services::in_memory();
    let info = RunInfo {
        namespace: "default".to_owned(),
        workflow_id: WorkflowId::new("order-1").unwrap(),
        run_id: RunId::from_text("run-1"),
        workflow_type: order_workflow.name().to_owned(),
    };
    let mut world = World {
        run: Run::new(info, order_workflow.replayable()),
        last_event_id: 0,
        orders: Orders { audit: Arc::clone(&audit) },
        payments: Payments { gateway, audit: Arc::clone(&audit) },
        shipping: Shipping { carrier, audit: Arc::clone(&audit) },
        mail: Mail { mailer: Arc::clone(&mailer) as _, audit },
        ran: Vec::new(),
    };
    let input = serde_json::to_string(&order).unwrap();
    world.event("WorkflowExecutionStarted", &format!(r#"{{"workflow_type":"T","task_queue":"q","input":{input}}}"#));
    loop {
        if let Some(result) = world.advance().await {
            return Ended { result, ran: world.ran, mails: mailer.sent().len() };
        }
    }
}

impl World {
    fn event(&mut self, kind: &str, attributes: &str) -> u64 {
        self.last_event_id += 1;
        let id = self.last_event_id;
        let text = format!(r#"{{"event_id":{id},"event_time_ms":0,"event_type":"{kind}","attributes":{attributes}}}"#);
        self.run.apply(&serde_json::from_str::<HistoryEvent>(&text).unwrap()).unwrap();
        id
    }

    /// One workflow task, and then every activity that it asked for.
    async fn advance(&mut self) -> Option<Result<OrderResult, Failure>> {
        let scheduled = self.event("WorkflowTaskScheduled", r#"{"task_queue":"q","attempt":1}"#);
        let started = self.event("WorkflowTaskStarted", &format!(r#"{{"scheduled_event_id":{scheduled}}}"#));
        let decisions = self.run.activate(started, 0).unwrap();
        let completed =
            format!(r#"{{"scheduled_event_id":{scheduled},"started_event_id":{started},"completion_id":"c"}}"#);
        self.event("WorkflowTaskCompleted", &completed);
        let mut asked = Vec::new();
        let mut end = None;
        for decision in decisions {
            match decision {
                Decision::ScheduleActivity(activity) => {
                    let (id, kind) = (&activity.activity_id, &activity.activity_type);
                    let scheduled = format!(
                        r#"{{"activity_id":"{id}","activity_type":"{kind}","task_queue":"q","retry_policy":{{}},"workflow_task_completed_event_id":4}}"#
                    );
                    asked.push((self.event("ActivityTaskScheduled", &scheduled), activity));
                }
                Decision::CompleteWorkflow(done) => end = Some(Ok(done.result.unwrap().read().unwrap())),
                Decision::FailWorkflow(failed) => end = Some(Err(failed.failure)),
                other => panic!("{other:?}"),
            }
        }
        for (event_id, activity) in asked {
            let outcome = self.attempts(event_id, &activity).await;
            if end.is_none() {
                self.close(event_id, outcome);
            }
        }
        end
    }

    fn close(&mut self, scheduled: u64, outcome: Result<Payload, Failure>) {
        match outcome {
            Ok(result) => {
                let result = result.json_text().unwrap().into_owned();
                let text = format!(r#"{{"scheduled_event_id":{scheduled},"started_event_id":0,"result":{result}}}"#);
                self.event("ActivityTaskCompleted", &text);
            }
            Err(failure) => {
                let failure = serde_json::to_string(&failure).unwrap();
                let text = format!(
                    r#"{{"scheduled_event_id":{scheduled},"started_event_id":0,"failure":{failure},"retry_state":"NonRetryableFailure"}}"#
                );
                self.event("ActivityTaskFailed", &text);
            }
        }
    }

    /// Attempts an activity until it succeeds or says that no retry can help.
    async fn attempts(&mut self, event_id: u64, activity: &ScheduleActivity) -> Result<Payload, Failure> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.ran.push(activity.activity_type.clone());
            let mut info = tidewright::ActivityInfo::default();
            (info.run_id, info.scheduled_event_id, info.attempt) = ("run-1".to_owned(), event_id, attempt);
            let ctx = ActivityContext::new(info);
            let input = activity.input.as_ref().unwrap();
            let outcome = match activity.activity_type.as_str() {
                "ValidateOrder" => call(Orders::validate_order, &self.orders, &ctx, input).await,
                "ProcessPayment" => call(Payments::process_payment, &self.payments, &ctx, input).await,
                "RefundPayment" => call(Payments::refund_payment, &self.payments, &ctx, input).await,
                "CreateShipment" => call(Shipping::create_shipment, &self.shipping, &ctx, input).await,
                "SendConfirmation" => call(Mail::send_confirmation, &self.mail, &ctx, input).await,
                other => panic!("{other}"),
            };
            match outcome {
                Err(failure) if !failure.non_retryable() => {}
                outcome => return outcome,
            }
        }
    }
}

async fn call<A, I: DeserializeOwned, O: Serialize>(
    activity: ActivityDef<A, I, O>,
    activities: &A,
    ctx: &ActivityContext,
    input: &Payload,
) -> Result<Payload, Failure> {
    let output = activity.run(activities, ctx, input.read().unwrap()).await.map_err(ActivityError::into_failure)?;
    Ok(Payload::new(&output).unwrap())
}

#[tokio::test]
async fn an_order_is_paid_sent_and_confirmed() {
    let ended = fulfil(order("visa", "Harbour 1")).await;
    let result = ended.result.unwrap();
    assert_eq!(result.outcome, Outcome::Completed);
    assert!(result.tracking_number.is_some() && result.refund_id.is_none());
    assert_eq!(ended.ran, ["ValidateOrder", "ProcessPayment", "CreateShipment", "SendConfirmation"]);
    assert_eq!(ended.mails, 1);
}

#[tokio::test]
async fn a_declined_card_fails_the_order_and_nothing_is_sent() {
    let ended = fulfil(order("declined", "Harbour 1")).await;
    let failure = ended.result.unwrap_err();
    assert_eq!(failure.error_type(), "PaymentDeclined");
    assert_eq!(failure.cause.unwrap().cause.unwrap().error_type(), "CardDeclined");
    assert_eq!(ended.ran, ["ValidateOrder", "ProcessPayment"]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_paid_back() {
    let ended = fulfil(order("visa", "unreachable")).await;
    let result = ended.result.unwrap();
    assert_eq!(result.outcome, Outcome::ShipmentFailedRefunded);
    assert!(result.tracking_number.is_none() && result.refund_id.is_some());
    assert_eq!(ended.ran, ["ValidateOrder", "ProcessPayment", "CreateShipment", "RefundPayment"]);
    assert_eq!(ended.mails, 0);
}

#[tokio::test]
async fn an_unavailable_gateway_is_tried_again() {
    let ended = fulfil(order("flaky", "Harbour 1")).await;
    assert_eq!(ended.result.unwrap().outcome, Outcome::Completed);
    assert_eq!(ended.ran[1..3], ["ProcessPayment", "ProcessPayment"]);
}

#[tokio::test]
async fn an_order_that_makes_no_sense_fails_before_anything_is_paid() {
    let ended = fulfil(Order { items: Vec::new(), ..order("visa", "Harbour 1") }).await;
    assert_eq!(ended.result.unwrap_err().error_type(), "InvalidOrder");
    assert_eq!(ended.ran, ["ValidateOrder"]);
}

#[test]
fn the_types_are_those_that_callers_know() {
    assert_eq!(order_workflow.name(), "OrderWorkflow");
    let text = r#"{"order_id":"order-1","customer":"c","items":[{"sku":"s","quantity":1}],"amount_cents":4200,"card":"visa","address":"a"}"#;
    assert!(serde_json::from_str::<Order>(text).is_ok());
}
