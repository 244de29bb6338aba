"""Writes schema.graphql from the code: `python -m gateway.schema_export [--check]`."""

import argparse
import difflib
import sys
from pathlib import Path

from gateway.schema import build_schema
from jobs.kinds import load_kinds

PATH = Path(__file__).resolve().parent.parent / "schema.graphql"


def render() -> str:
    """Return the SDL of the schema with every kind that `jobs.kinds` holds, and no other."""
    return build_schema(load_kinds()).as_str() + "\n"


def main() -> int:
    """Write the file, or with --check compare it and print the difference; return the exit code."""
    parser = argparse.ArgumentParser(description="Write schema.graphql from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 and show a diff if it is stale")
    arguments = parser.parse_args()
    fresh = render()
    if not arguments.check:
        PATH.write_text(fresh, encoding="utf-8")
        return 0
    stored = PATH.read_text(encoding="utf-8") if PATH.exists() else ""
    diff = difflib.unified_diff(stored.splitlines(True), fresh.splitlines(True), "schema.graphql", "the code")
    sys.stdout.writelines(diff)
    return 0 if stored == fresh else 1


if __name__ == "__main__":
    sys.exit(main())
