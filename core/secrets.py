"""Settings from files: <VARIABLE>_FILE names the file that holds the value, as container platforms mount secrets."""

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from core.errors import StartupError


class FileSource(PydanticBaseSettingsSource):
    """Reads each file; white space at its end is not part of the value. Raises StartupError, never with a value."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value, or None where no file is named, and the key to store it under."""
        alias = field.validation_alias
        variable = alias if isinstance(alias, str) else f"{self.config.get('env_prefix', '')}{field_name}".upper()
        key = alias if isinstance(alias, str) else field_name
        path = os.environ.get(f"{variable}_FILE")
        if not path:
            return None, key, False
        if os.environ.get(variable):
            raise StartupError(f"{variable} and {variable}_FILE are both set; unset one of them")
        try:
            return Path(path).read_text(encoding="utf-8").rstrip(), key, False
        except (OSError, ValueError) as exc:
            raise StartupError(f"{variable}_FILE: {path} can't be read as text") from exc

    def __call__(self) -> dict[str, Any]:
        """Return what the files say."""
        found = (self.get_field_value(field, name) for name, field in self.settings_cls.model_fields.items())
        return {key: value for value, key, _ in found if value is not None}


class SecretiveSettings(BaseSettings):
    """Settings of which each may also come from a file."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments come first, then files, then the environment."""
        return init_settings, FileSource(settings_cls), env_settings
