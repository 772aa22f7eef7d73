"""The rules, without a Kafka: python -m unittest"""

import json
import unittest

import schemas
from history import HistoryBroken, PartitionHistory, WorkflowStory

CHECK = schemas.checker("HistoryRecord")


def claim(key):
    return f"claim/{key}", {"type": "Claim", "key": key, "node": f"node-{key}"}


def transition(epoch, source, first_event, count=1, workflow="w", run="r"):
    offset, key = epoch
    events = [
        {"event_id": n, "event_time_ms": 1, "event_type": "TimerFired", "attributes": {"timer_id": "t", "started_event_id": 1}}
        for n in range(first_event, first_event + count)
    ]
    value = {
        "type": "Transition",
        "epoch": {"offset": offset, "key": key},
        "source_offset": source,
        "source_time_ms": 1,
        "workflow_id": workflow,
        "run_id": run,
        "events": events,
    }
    return f"transition/{source}/{offset}/{key}/{workflow}", value


def position(epoch, number, applied):
    offset, key = epoch
    value = {
        "type": "Position",
        "epoch": {"offset": offset, "key": key},
        "number": number,
        "applied_offset": applied,
        "released_offset": applied,
        "released_history_offset": 0,
    }
    return f"position/{offset}/{key}/{number}", value


def skipped(epoch, from_offset, to_offset):
    offset, key = epoch
    value = {
        "type": "CommandsSkipped",
        "epoch": {"offset": offset, "key": key},
        "from_offset": from_offset,
        "to_offset": to_offset,
        "by": "somebody",
    }
    return f"skipped/{offset}/{key}/{from_offset}", value


def tombstone(record):
    return record[0], None


A, B = (0, "a"), (3, "b")

# A life of a partition: owner A is replaced by B and goes on writing.
LOG = [
    claim("a"),
    transition(A, 0, 1, count=2),
    transition(A, 1, 3),
    claim("b"),
    transition(A, 2, 4),  # a zombie's
    transition(B, 2, 4, count=2),
    position(A, 1, 90),  # a zombie's: it must not cover anything
    position(B, 1, 3),
    transition(A, 7, 6),  # a zombie's, for a command that B has not decided yet
    tombstone(transition(A, 2, 4)),
    transition(B, 7, 6),
    position(B, 2, 8),
    tombstone(position(B, 1, 3)),
]


def read(log, offsets=None):
    """The story that a log tells; `offsets` are those of its records that are left."""
    warnings = []
    rules, story = PartitionHistory(CHECK, warnings.append), WorkflowStory("w")
    for offset, (key, value) in enumerate(log):
        if offsets is None or offset in offsets:
            raw = None if value is None else json.dumps(value).encode()
            taken = rules.take(offset, key.encode(), raw)
            if taken:
                story.take(taken)
    return story, rules, warnings


def compacted(log, until, with_tombstones):
    """The offsets that are left when everything below `until` was compacted."""
    latest = {key: offset for offset, (key, _) in enumerate(log[:until])}
    left = {offset for offset in latest.values() if with_tombstones or log[offset][1] is not None}
    return left | set(range(until, len(log)))


class Rules(unittest.TestCase):
    def test_what_a_replaced_owner_writes_does_not_count(self):
        story, rules, warnings = read(LOG)
        self.assertEqual([event["event_id"] for event in story.run().events], [1, 2, 3, 4, 5, 6])
        self.assertEqual(rules.ignored, 3)
        self.assertEqual(warnings, [])

    def test_the_story_is_the_same_however_far_the_log_was_compacted(self):
        expected = read(LOG)[0].run().events
        for until in range(len(LOG) + 1):
            for with_tombstones in (True, False):
                left = compacted(LOG, until, with_tombstones)
                self.assertEqual(read(LOG, left)[0].run().events, expected, (until, with_tombstones))

    def test_a_command_that_is_accounted_for_counts_once(self):
        again = transition(A, 1, 4)
        story, rules, _ = read([claim("a"), transition(A, 0, 1, count=3), position(A, 1, 2), again])
        self.assertEqual(len(story.run().events), 3)
        self.assertEqual(rules.ignored, 1)

    def test_commands_that_were_passed_over_are_accounted_for(self):
        log = [claim("a"), transition(A, 0, 1), skipped(A, 1, 5), transition(A, 4, 2), transition(A, 5, 2)]
        story, rules, warnings = read(log)
        self.assertEqual(len(story.run().events), 2)
        self.assertEqual(rules.ignored, 1)
        self.assertEqual(warnings, [])

    def test_a_replaced_owner_passes_over_nothing(self):
        log = [claim("a"), transition(A, 0, 1), claim("c"), claim("b"), skipped(A, 1, 9), transition(B, 1, 2)]
        story, rules, _ = read(log)
        self.assertEqual(len(story.run().events), 2)
        self.assertEqual(rules.ignored, 1)

    def test_a_claim_counts_by_its_place_and_its_key(self):
        # The claim of the same key at another offset is another topic's.
        story, rules, _ = read([claim("a"), transition((1, "a"), 0, 1)])
        self.assertIsNone(story.run())
        self.assertEqual(rules.ignored, 1)

    def test_a_record_before_any_claim_does_not_count(self):
        self.assertIsNone(read([transition(A, 0, 1)])[0].run())

    def test_what_is_not_ours_is_ignored_with_a_warning(self):
        foreign = ("hello", {"type": "Greeting"})
        story, _, warnings = read([claim("a"), foreign, transition(A, 0, 1)])
        self.assertEqual(len(story.run().events), 1)
        self.assertEqual(len(warnings), 1)

    def test_what_is_ours_and_unreadable_stops_the_reader(self):
        key, value = transition(A, 0, 1)
        del value["events"][0]["attributes"]["timer_id"]
        with self.assertRaisesRegex(HistoryBroken, "does not fit HistoryRecord.json"):
            read([claim("a"), (key, value)])
        with self.assertRaisesRegex(HistoryBroken, "offset 1"):
            read([claim("a"), ("transition/x", {"type": "Fission"})])

    def test_a_gap_is_named(self):
        with self.assertRaisesRegex(HistoryBroken, "event 2 is missing"):
            read([claim("a"), transition(A, 0, 1), transition(A, 1, 3)])

    def test_a_transition_may_end_a_run_and_begin_the_next(self):
        key, value = transition(A, 1, 2)
        first = {"event_id": 1, "event_time_ms": 1, "event_type": "TimerFired", "attributes": {"timer_id": "t", "started_event_id": 1}}
        value["next_run"] = {"run_id": "s", "events": [first], "history_digest": "d"}
        story, _, _ = read([claim("a"), transition(A, 0, 1), (key, value)])
        self.assertEqual([len(story.run("r").events), len(story.run("s").events)], [2, 1])
        self.assertEqual(story.run().run_id, "s")

    def test_runs_are_told_apart_and_the_latest_is_the_one(self):
        log = [claim("a"), transition(A, 0, 1), transition(A, 1, 1, run="s"), transition(A, 2, 1, workflow="other")]
        story, _, _ = read(log)
        self.assertEqual(list(story.runs), ["r", "s"])
        self.assertEqual(story.run().run_id, "s")
        self.assertEqual(story.run("r").run_id, "r")
        self.assertIsNone(story.run("t"))


if __name__ == "__main__":
    unittest.main()
