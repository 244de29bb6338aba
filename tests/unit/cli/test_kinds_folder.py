"""The folder of kinds that the command takes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app


@pytest.mark.parametrize("command", ["up", "check-kinds"])
def test_folder_that_was_named_and_is_not_there_is_refused(command: str, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, [command, "--kinds", str(tmp_path / "nothere")], env={"COLUMNS": "300"})
    assert refused.exit_code == 2
    assert "expected a folder, and there is none at" in refused.output
