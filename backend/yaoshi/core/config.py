"""What every group of settings shares. A room owns its group; `settings.py` gathers them all."""

import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from yaoshi.core.sources import Files, Vault


def _apart(value: object) -> object:
    return tuple(filter(None, re.split(r"[\s,]+", value))) if isinstance(value, str) else value


SecretList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_apart)]
_PORTS = {"http": 80, "https": 443}


def parts_of(url: str, like: str) -> SplitResult:
    """Return the parts of an address that names a host and, if any, a port that there is; else raise ValueError."""
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass  # a port that is no number or too large, half of an IPv6 address
    raise ValueError(f"must be like {like}")


def origin_of(url: str, like: str) -> str:
    """Return an origin as browsers spell it: lower case, ASCII, without the scheme's own port. Raises ValueError.

    Source: RFC 6454 §6.2.
    """
    parts = parts_of(url, like)
    if parts.scheme not in _PORTS or "@" in parts.netloc or parts.path or "?" in url or "#" in url or "," in url:
        raise ValueError(f"must be like {like}")
    host = parts.hostname or ""
    try:
        spelled = f"[{host}]" if ":" in host else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"must be like {like}") from None
    port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{spelled}{port}"


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
