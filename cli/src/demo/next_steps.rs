//! What to try after the demo: lines that work as they stand.

use super::orders;
use crate::dev::HTTP_PORT;

/// How this program was called: through cargo from a checkout, or by its name.
fn programs() -> (&'static str, &'static str) {
    let is_checkout = std::env::current_exe()
        .is_ok_and(|path| path.components().any(|part| part.as_os_str() == "target"))
        || std::env::var_os("CARGO").is_some();
    if is_checkout {
        ("cargo run -q --", "cargo run -q --bin order-fulfilment")
    } else {
        ("tidewright", "order-fulfilment")
    }
}

/// The lines; `input` is an order, `running` are the addresses of what was left running.
pub(super) fn text(input: &str, running: Option<(&str, &str)>) -> String {
    let (tidewright, worker) = programs();
    let start =
        format!("{tidewright} workflow start --type OrderWorkflow -t {} -w order-1 -i '{input}'", orders::TASK_QUEUE);
    match running {
        Some((kafka, http_url)) => format!(
            "\nIt keeps running until Ctrl-C. Try in another terminal\n  \
             curl -s {http_url}/api/v1/namespaces/default/workflows/order-1005; echo\n  \
             export TIDEWRIGHT_HTTP_URL={http_url} TIDEWRIGHT_BROKERS={kafka}\n  \
             {tidewright} workflow list\n  \
             {start}\n  \
             {tidewright} workflow result -w order-1\n\n"
        ),
        None => format!(
            "\nTry it yourself, with three terminals\n  \
             1  {tidewright} dev --data-dir tidewright-data\n  \
             2  {worker}\n  \
             3  {start}\n     \
             {tidewright} workflow result -w order-1\n     \
             {tidewright} workflow show -w order-1\n     \
             curl -s http://127.0.0.1:{HTTP_PORT}/api/v1/namespaces/default/workflows/order-1; echo\n\
             Kill any of the three at any time and start it again: the orders go on where they were.\n\n"
        ),
    }
}
