"""What every group of settings shares. A room owns its group; `settings.py` gathers them all."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from yaoshi.core.errors import SettingsRefused


class Group(BaseSettings):
    """Typed, documented settings of one room. A name in the environment is `YAOSHI_` and the field's name."""

    model_config = SettingsConfigDict(
        env_prefix="YAOSHI_",
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Look in this order: arguments, the environment, `NAME_FILE`, the .env file."""
        return init_settings, env_settings, _NamedFiles(settings_cls, os.environ), dotenv_settings


class _NamedFiles(PydanticBaseSettingsSource):
    """Reads `NAME` from the file that `NAME_FILE` names, as container secrets are given."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environ = environ

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the file's text without its last line end. Raises SettingsRefused when it can't be read."""
        name = environment_name(field_name, field)
        path = self._environ.get(name + "_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError):
            raise SettingsRefused(f"{name}_FILE names a file that can't be read: {path}") from None

    def __call__(self) -> dict[str, Any]:
        """Return every value that a named file gives."""
        found = {}
        for field_name, field in self.settings_cls.model_fields.items():
            value, _, _ = self.get_field_value(field, field_name)
            if value is not None:
                found[field_name] = value
        return found


def environment_name(field_name: str, field: FieldInfo) -> str:
    """Return the environment variable that sets a field."""
    return str(field.validation_alias or f"YAOSHI_{field_name.upper()}")
