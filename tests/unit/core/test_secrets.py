"""Settings from files."""

from pathlib import Path

import pytest

from core.errors import StartupError
from core.settings import Settings
from gateway.identity.settings import IdentitySettings


def test_value_comes_from_the_named_file_without_its_line_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "mongo_url"
    secret.write_text("mongodb://headway:s3cret@db:27017/headway\n", encoding="utf-8")
    monkeypatch.delenv("MONGO_URL", raising=False)
    monkeypatch.setenv("MONGO_URL_FILE", str(secret))
    assert Settings().mongo_url == "mongodb://headway:s3cret@db:27017/headway"


def test_prefixed_secret_comes_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "jwt"
    secret.write_text("k" * 40, encoding="utf-8")
    monkeypatch.setenv("HEADWAY_JWT_SECRET_FILE", str(secret))
    read = IdentitySettings().jwt_secret
    assert read is not None
    assert read.get_secret_value() == "k" * 40


def test_variable_and_file_together_are_refused_without_a_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@cache/0")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "redis_url"))
    with pytest.raises(StartupError, match="REDIS_URL and REDIS_URL_FILE are both set") as caught:
        Settings()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_file_that_cannot_be_read_is_named(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "amqp_url"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.delenv("AMQP_URL", raising=False)
    monkeypatch.setenv("AMQP_URL_FILE", str(path))
    with pytest.raises(StartupError, match=r"AMQP_URL_FILE: .*amqp_url can't be read"):
        Settings()
