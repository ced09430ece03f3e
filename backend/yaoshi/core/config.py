"""What every group of settings shares. A room owns its group; `settings.py` gathers them all."""

import re
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from yaoshi.core.sources import Files, Vault


def _apart(value: object) -> object:
    return tuple(filter(None, re.split(r"[\s,]+", value))) if isinstance(value, str) else value


SecretList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_apart)]


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
        """Look in this order: arguments, the environment (a .env file has joined it), files, Vault."""
        return init_settings, env_settings, Files(settings_cls), Vault(settings_cls)
