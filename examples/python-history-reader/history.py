"""The rules by which a history partition is read.

A history topic holds more than what happened: records of owners that had been replaced without knowing it, records that
were superseded, tombstones. Which records count follows from the records before them alone, so a reader can say of each
record at once whether it does. Nothing here knows Kafka: a record is an offset, a key and a value.
"""

import json
from dataclasses import dataclass, field

OUR_KEYS = ("claim/", "transition/", "position/", "skipped/")
CLOSING = (
    "WorkflowExecutionCompleted",
    "WorkflowExecutionFailed",
    "WorkflowExecutionCanceled",
    "WorkflowExecutionTerminated",
    "WorkflowExecutionTimedOut",
)


class HistoryBroken(Exception):
    """The topic does not hold what it must: reading on would mean guessing."""


@dataclass
class Run:
    """One run of a workflow, as far as it was read."""

    run_id: str
    events: list = field(default_factory=list)

    @property
    def is_closed(self):
        return bool(self.events) and self.events[-1]["event_type"] in CLOSING


class PartitionHistory:
    """Takes the records of one history partition, from its beginning and in order of their offsets.

    `check` is called with each value that is ours and raises ValueError if it does not fit its JSON Schema. `warn` is
    told, in words, of what is ignored although nobody should have written it.
    """

    def __init__(self, check, warn):
        self._check = check
        self._warn = warn
        self._claim = None  # who owns the partition at the record that comes next
        self._next_source = 0  # every command below this offset is accounted for
        self.ignored = 0  # records that did not count

    def take(self, offset, key, value):
        """Returns the transition that the record is, or None if it is something else or does not count."""
        if value is None:
            # A tombstone takes away what nobody needs any more, or what never counted.
            return None
        record = self._read(offset, key, value)
        if record is None:
            return None
        if record["type"] == "Claim":
            self._claim = {"offset": offset, "key": record["key"]}
            return None
        if record["epoch"] != self._claim:
            # Written by an owner that another claim had replaced.
            self.ignored += 1
            return None
        if record["type"] == "Position":
            self._next_source = max(self._next_source, record["applied_offset"])
            return None
        if record["type"] == "CommandsSkipped":
            self._next_source = max(self._next_source, record["to_offset"])
            return None
        if record["source_offset"] < self._next_source:
            self.ignored += 1
            return None
        self._next_source = record["source_offset"] + 1
        return record

    def _read(self, offset, key, value):
        name = (key or b"").decode("utf-8", "replace")
        try:
            record = json.loads(value)
            self._check(record)
            return record
        except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors, too
            problem = f"the record at offset {offset} (key {name!r}) cannot be read: {error}"
        if name.startswith(OUR_KEYS):
            raise HistoryBroken(f"{problem}. A newer version may have written it: use its schemas")
        self._warn(f"{problem}. Something else wrote to the history topic; ignored")
        self.ignored += 1
        return None


class WorkflowStory:
    """Gathers the runs of one workflow from the transitions of its partition."""

    def __init__(self, workflow_id):
        self._workflow_id = workflow_id
        self.runs = {}  # by run id, oldest first

    def take(self, transition):
        """Returns runs with their new events: none if the transition is about something else, two if it ends a run and
        begins the next."""
        if transition["workflow_id"] != self._workflow_id or transition.get("run_id") is None:
            return []
        changes = [transition] + [change for change in [transition.get("next_run")] if change]
        return [self._extend(change["run_id"], change.get("events", [])) for change in changes]

    def _extend(self, run_id, events):
        run = self.runs.setdefault(run_id, Run(run_id))
        for event in events:
            expected = len(run.events) + 1
            if event["event_id"] != expected:
                raise HistoryBroken(
                    f"run {run_id} goes on with event {event['event_id']}, and event {expected} is missing:"
                    " records of the history topic were lost"
                )
            run.events.append(event)
        return run, events

    def run(self, run_id=None):
        """A run; the latest one if none is named. None if there is no such run."""
        if run_id is not None:
            return self.runs.get(run_id)
        return next(reversed(list(self.runs.values())), None)
