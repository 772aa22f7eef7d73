//! A failure and what led to it, for people.

use tidewright_schemas::{Failure, FailureInfo};

use crate::output::clean;

/// Chains are short; one that is not is cut.
const CAUSES_SHOWN_MAX: usize = 20;

/// A failure and its causes, one line each, and where it was raised.
pub(crate) fn failure_text(failure: &Failure) -> String {
    let mut lines = Vec::new();
    let mut stack_trace = "";
    let mut next = Some(failure);
    while let Some(failure) = next.filter(|_| lines.len() < CAUSES_SHOWN_MAX) {
        let begin = if lines.is_empty() { "  " } else { "  caused by " };
        lines.push(format!("{begin}{}", failure_line(failure)));
        if !failure.stack_trace.is_empty() {
            stack_trace = &failure.stack_trace;
        }
        next = failure.cause.as_deref();
    }
    if !stack_trace.is_empty() {
        lines.push(format!("  raised at\n{}", indented(&clean(stack_trace))));
    }
    lines.join("\n")
}

/// `PaymentDeclined: no cover`.
pub(crate) fn failure_line(failure: &Failure) -> String {
    let message = clean(&failure.message);
    match &failure.info {
        FailureInfo::Application(application) if application.error_type.is_empty() => message,
        FailureInfo::Application(application) => format!("{}: {message}", clean(&application.error_type)),
        FailureInfo::Timeout(timeout) => format!("{:?} timeout: {message}", timeout.timeout_type),
        FailureInfo::Activity(activity) => {
            format!("activity {} ({:?}): {message}", clean(&activity.activity_type), activity.retry_state)
        }
        FailureInfo::Canceled(_) | FailureInfo::Terminated(_) => message,
        FailureInfo::Server(server) => format!("{}: {message}", clean(&server.code)),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use tidewright_schemas::TimeoutType;

    use super::*;

    #[test]
    fn a_failure_names_its_causes() {
        let failure = Failure::application("PaymentDeclined", "no cover", true).caused_by(
            Failure::timeout(TimeoutType::StartToClose, "10s are over")
                .caused_by(Failure::server("TW0304", "lost", false)),
        );
        insta::assert_snapshot!(failure_text(&failure), @r"
          PaymentDeclined: no cover
          caused by StartToClose timeout: 10s are over
          caused by TW0304: lost
        ");
    }
}
