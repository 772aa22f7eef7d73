"""Tells a workflow's story from the history topic alone: no engine is asked.

    python story.py --brokers 127.0.0.1:9092 --workflow-id order-1
    python story.py --workflow-id order-1 --follow
    python story.py --workflow-id order-1 --output json

Exit codes: 0 the story was told, 1 there is none or it cannot be told, 2 the command line is wrong.
"""

import argparse
import json
import os
import sys
from datetime import datetime, timezone
from pathlib import Path

from kafka.errors import KafkaError

import schemas
from history import HistoryBroken, PartitionHistory, WorkflowStory
from kafka_io import Partition, Unreadable, namespace_partitions, partition_of, topic


def arguments():
    parser = argparse.ArgumentParser(description="Tells a workflow's story from the history topic alone.")
    parser.add_argument("--brokers", default=os.environ.get("TIDEWRIGHT_BROKERS", "127.0.0.1:9092"), metavar="LIST")
    parser.add_argument("--namespace", default=os.environ.get("TIDEWRIGHT_NAMESPACE", "default"))
    parser.add_argument("--topic-prefix", default=os.environ.get("TIDEWRIGHT_TOPIC_PREFIX", "tidewright."))
    parser.add_argument("--workflow-id", required=True, metavar="ID")
    parser.add_argument("--run-id", metavar="ID", help="one of its runs; the latest by default")
    parser.add_argument("--follow", action="store_true", help="go on until the run has ended")
    parser.add_argument("--output", choices=["text", "json"], default="text")
    parser.add_argument("--schemas", type=Path, default=schemas.PUBLISHED, metavar="DIR", help="the JSON Schemas")
    return parser.parse_args()


def line(event):
    """An event for people."""
    time = datetime.fromtimestamp(event["event_time_ms"] / 1000, timezone.utc)
    details = {name: value for name, value in event["attributes"].items() if value not in (None, {}, [])}
    text = json.dumps(details, ensure_ascii=True)
    text = text if len(text) <= 160 else f"{text[:159]}…"
    return f"{event['event_id']:>4}  {time.isoformat(timespec='milliseconds')}  {event['event_type']:<28}  {text}"


class Teller:
    """Prints events as they come, or keeps them for one JSON document at the end."""

    def __init__(self, options):
        self._options = options
        self._told = None  # the run whose events were printed last

    def tell(self, run, events):
        """Prints new events, when following."""
        if self._options.output == "json" or self._options.run_id not in (None, run.run_id):
            return
        if self._told != run.run_id:
            print(f"workflow {self._options.workflow_id}, run {run.run_id}", flush=True)
            self._told = run.run_id
        for event in events:
            print(line(event), flush=True)

    def finish(self, run):
        """Prints a whole run, unless it was told already."""
        if self._options.output == "json":
            print(json.dumps({"run_id": run.run_id, "events": run.events}))
        elif self._told != run.run_id:
            self.tell(run, run.events)


def tell(options):
    check_cluster = schemas.checker("ClusterRecord", options.schemas)
    count = namespace_partitions(options.brokers, options.topic_prefix, options.namespace, check_cluster)
    number = partition_of(options.workflow_id, count)
    rules = PartitionHistory(schemas.checker("HistoryRecord", options.schemas), warn=complain)
    story, teller = WorkflowStory(options.workflow_id), Teller(options)

    def take(record):
        transition = rules.take(record.offset, record.key, record.value)
        return story.take(transition) if transition else []

    with Partition(options.brokers, topic(options.topic_prefix, options.namespace, "history"), number) as partition:
        for record in partition.until_end():
            take(record)
        run = story.run(options.run_id)
        if options.follow and not (run and run.is_closed):
            if run:
                teller.tell(run, run.events)
            for record in partition.forever():
                for changed, events in take(record):
                    teller.tell(changed, events)
                run = story.run(options.run_id)
                if run and run.is_closed:
                    break
    if run is None:
        complain(f"the history of namespace {options.namespace} does not have that workflow, or not that run")
        return 1
    teller.finish(run)
    return 0


def complain(text):
    print(text, file=sys.stderr)


def main():
    try:
        return tell(arguments())
    except (HistoryBroken, Unreadable, ValueError, OSError, KafkaError) as error:
        complain(f"error: {error or type(error).__name__}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
