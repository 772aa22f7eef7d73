//! How each order ended, as the HTTP API tells it, and whether that is how it had to.

use std::time::Duration;

use serde_json::Value;
use tidewright_schemas::WorkflowId;
use tidewright_schemas::api::{WorkflowOutcome, WorkflowStatus};

use super::orders::{DemoOrder, Expected};
use crate::error::CliError;
use crate::output::print;
use crate::workflow::{RunOptions, Server, failure_line, history_text, parse, payload_text};

/// Prints every result and one history; an order that ended otherwise than it had to is an error.
pub(super) async fn outcomes(http_url: &str, orders: &[DemoOrder]) -> Result<(), CliError> {
    let server = Server::at(http_url)?;
    print("Results\n")?;
    let mut wrong = Vec::new();
    for order in orders {
        let run = run_of(order)?;
        let body = server.of_run(&run, "/result", Vec::new(), Duration::ZERO).await?;
        let outcome: WorkflowOutcome = parse(&body)?;
        let is_expected = is_expected(order.expected, &outcome);
        let text = match (&outcome.result, &outcome.failure) {
            (Some(result), _) => payload_text(result),
            (None, Some(failure)) => failure_line(failure),
            (None, None) => "no result".to_owned(),
        };
        let mark = if is_expected { "✓" } else { "✗" };
        print(&format!("  {mark} {}  {:9}  {text}\n", order.workflow_id(), outcome.status.as_str()))?;
        if !is_expected {
            wrong.push(format!("{} should be {:?}", order.workflow_id(), order.expected));
        }
    }
    if let Some(order) = orders.iter().find(|order| order.expected == Expected::Refunded) {
        print(&format!("\nThe history of {}, which was compensated\n", order.workflow_id()))?;
        print(&history_text(&server, &run_of(order)?).await?)?;
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(CliError::coded("TW0709", format!("not every order ended as it should: {}", wrong.join("; "))))
}

fn run_of(order: &DemoOrder) -> Result<RunOptions, CliError> {
    let workflow_id = WorkflowId::new(order.workflow_id()).map_err(|e| CliError::plain(e.to_string()))?;
    Ok(RunOptions { workflow_id, run_id: None })
}

fn is_expected(expected: Expected, outcome: &WorkflowOutcome) -> bool {
    let result: Value = outcome.result.as_ref().and_then(|result| result.read().ok()).unwrap_or_default();
    let ended_as = |word: &str| outcome.status == WorkflowStatus::Completed && result["outcome"] == word;
    match expected {
        Expected::Completed => ended_as("Completed") && result["tracking_number"].is_string(),
        Expected::Refunded => ended_as("ShipmentFailedRefunded") && result["refund_id"].is_string(),
        Expected::Declined => {
            let error_type = outcome.failure.as_ref().map(|failure| failure.error_type());
            outcome.status == WorkflowStatus::Failed && error_type == Some("PaymentDeclined")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_what_it_had_to_be_or_not() {
        let read = |json: &str| serde_json::from_str::<WorkflowOutcome>(json).unwrap();
        let sent =
            read(r#"{"run_id":"r","status":"Completed","result":{"outcome":"Completed","tracking_number":"p"}}"#);
        let refunded = read(
            r#"{"run_id":"r","status":"Completed","result":{"outcome":"ShipmentFailedRefunded","refund_id":"f"}}"#,
        );
        let declined = read(
            r#"{"run_id":"r","status":"Failed","failure":{"message":"no","info":{"type":"Application","error_type":"PaymentDeclined"}}}"#,
        );
        let running = read(r#"{"run_id":"r","status":"Running"}"#);
        for (expected, right) in
            [(Expected::Completed, &sent), (Expected::Refunded, &refunded), (Expected::Declined, &declined)]
        {
            for outcome in [&sent, &refunded, &declined, &running] {
                assert_eq!(is_expected(expected, outcome), outcome == right, "{expected:?} {outcome:?}");
            }
        }
    }
}
