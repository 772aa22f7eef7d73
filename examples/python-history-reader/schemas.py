"""The published JSON Schemas, and checking values with them."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

PUBLISHED = Path(__file__).resolve().parents[2] / "schemas" / "json"


def checker(name, directory=PUBLISHED):
    """A function that raises ValueError for a value that does not fit the schema `name`, and says where."""
    path = Path(directory) / f"{name}.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)

    def check(value):
        error = best_match(validator.iter_errors(value))
        if error is not None:
            message = error.message if len(error.message) <= 300 else f"{error.message[:300]}…"
            raise ValueError(f"it does not fit {path.name}: {error.json_path}: {message}")

    return check
