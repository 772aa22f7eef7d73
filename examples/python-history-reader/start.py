"""Starts a workflow by publishing one plain record.

    python start.py --type OrderWorkflow --task-queue orders --workflow-id order-1 --input '{"order_id": "1"}'
"""

import argparse
import json
import os
import sys

from kafka import KafkaProducer
from kafka.errors import KafkaError

import schemas
from kafka_io import topic


def arguments():
    parser = argparse.ArgumentParser(description="Starts a workflow by publishing one plain record.")
    parser.add_argument("--brokers", default=os.environ.get("TIDEWRIGHT_BROKERS", "127.0.0.1:9092"), metavar="LIST")
    parser.add_argument("--namespace", default=os.environ.get("TIDEWRIGHT_NAMESPACE", "default"))
    parser.add_argument("--topic-prefix", default=os.environ.get("TIDEWRIGHT_TOPIC_PREFIX", "tidewright."))
    parser.add_argument("--type", required=True, help="which workflow")
    parser.add_argument("--task-queue", required=True, metavar="QUEUE")
    parser.add_argument("--workflow-id", required=True, metavar="ID")
    parser.add_argument("--request-id", metavar="ID", help="repeated starts with one request id are one start")
    parser.add_argument("--input", type=json.loads, metavar="JSON", help="what the workflow is given")
    return parser.parse_args()


def command(options):
    """The record's value."""
    start = {
        "type": "StartWorkflow",
        "workflow_type": options.type,
        "workflow_id": options.workflow_id,
        "task_queue": options.task_queue,
    }
    if options.request_id is not None:
        start["request_id"] = options.request_id
    if options.input is not None:
        start["input"] = options.input
    return start


def main():
    options = arguments()
    try:
        start = command(options)
        schemas.checker("Command")(start)
        producer = KafkaProducer(bootstrap_servers=options.brokers, acks="all", allow_auto_create_topics=False)
        # The workflow id as key, and the Java clients' partitioner, which is kafka-python's default: another partition
        # would do as well, the record only arrives a little later.
        key, value = options.workflow_id.encode(), json.dumps(start).encode()
        sent = producer.send(topic(options.topic_prefix, options.namespace, "commands"), key=key, value=value)
        metadata = sent.get(timeout=30)
        producer.close()
    except (ValueError, OSError, KafkaError) as error:
        print(f"error: {error or type(error).__name__}", file=sys.stderr)
        return 1
    print(f"published to {metadata.topic}, partition {metadata.partition}, offset {metadata.offset}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
