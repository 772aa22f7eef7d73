//! What can be done about a stopped partition, by the reason for which it stopped, and what must not be.

use tidewright_schemas::LostCommands;
use tidewright_schemas::api::PartitionProblem;

/// What helps before `retry`, and what is never skipped.
fn advice(code: &str) -> (&'static str, &'static str) {
    match code {
        "TW0401" => (
            "after an upgrade of this node, or with its state directory of the partition deleted so that it is rebuilt from \
             history",
            "the events of a run would have a hole: nobody could tell what its workflow had seen",
        ),
        "TW0402" => (
            "after an upgrade of this node to the version that wrote the record",
            "a record that is valid would be left out here and applied elsewhere: two nodes would hold two truths",
        ),
        "TW0403" => (
            "after the topic was restored, or with the node's state directory of the partition deleted to accept what is \
             left of history",
            "state would be kept that no history explains: the next rebuild would not have it",
        ),
        "TW0404" => (
            "after the commands topic was restored with the same offsets",
            "offsets name commands for ever: in another topic, or behind an end that was cut off, they would be given out \
             twice, and two commands would be taken for one",
        ),
        _ => (
            "after what the message says is put right",
            "what a partition has not understood it cannot pass over without guessing",
        ),
    }
}

/// What is gone for good when these commands are passed over.
pub(super) fn loss(lost: LostCommands) -> String {
    let LostCommands { from_offset, to_offset } = lost;
    format!(
        "the commands from offset {from_offset} up to, not including, {to_offset} are gone: starts, signals and other \
         requests among them did not happen; activities and workflow tasks whose completion is among them run again once \
         they are found missing or their timeout is over"
    )
}

/// Why this is not passed over.
pub(super) fn refusal(code: &str) -> String {
    let (_, skip) = advice(code);
    format!("then {skip}")
}

pub(super) fn text(partition: u32, problem: &PartitionProblem) -> String {
    let code = &problem.code;
    let (retry, skip) = advice(code);
    let skip = match problem.lost_commands {
        Some(lost) => format!("  tidewright partition skip {partition}\n    accepts that {}.\n\n", loss(lost)),
        None => format!("\nWhat is never done: to pass over it. Then {skip}.\n"),
    };
    format!(
        "What can be done\n  tidewright partition retry {partition}\n    recovers it from history and claims it anew; helps {retry}.\n    \
         It decides nothing that was decided, so trying costs nothing.\n  tidewright explain {code}\n    says more about \
         this reason.\n{skip}The other partitions go on meanwhile.\n"
    )
}
