"""`python -m cli` is the `headway` command."""

from cli.main import run

run()
