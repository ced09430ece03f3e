"""Where settings come from beside the environment: named files, a directory of secrets, Vault."""

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from yaoshi.core.errors import SettingsRefused

VAULT_SECONDS = 5


def environment_name(field_name: str, field: FieldInfo) -> str:
    """Return the environment variable that sets a field."""
    return str(field.validation_alias or f"YAOSHI_{field_name.upper()}")


def secrets_folder() -> Path | None:
    """Return the directory of one file per secret: YAOSHI_SECRETS_DIR, else where systemd puts credentials."""
    named = os.environ.get("YAOSHI_SECRETS_DIR") or os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(named) if named else None


def secret_file(name: str) -> Path | None:
    """Return the file that gives setting `name`: what `NAME_FILE` names, else NAME or name in the directory."""
    named, folder = os.environ.get(name + "_FILE"), secrets_folder()
    if named:
        return Path(named)
    spelled = [folder / name, folder / name.lower()] if folder else []
    return next((path for path in spelled if path.is_file()), None)


class Files(PydanticBaseSettingsSource):
    """Reads `NAME` from a file of its own, as Docker, Kubernetes and systemd give secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the file's text without its last line end. Raises SettingsRefused when it can't be read."""
        name = environment_name(field_name, field)
        path, origin = secret_file(name), f"{name}_FILE" if os.environ.get(f"{name}_FILE") else "the folder of secrets"
        if path is None:
            return None, field_name, False
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError):
            # Never the path: who takes NAME_FILE for NAME has written the secret itself there.
            raise SettingsRefused(f"{name}: the file that {origin} gives can't be read.") from None

    def __call__(self) -> dict[str, Any]:
        """Return every value that a file gives."""
        return _given(self)


class Vault(PydanticBaseSettingsSource):
    """Reads settings from one secret of HashiCorp Vault's key-value store, version 2.

    YAOSHI_VAULT_SECRET names mount and path (`secret/yaoshi`); VAULT_ADDR, VAULT_TOKEN (or VAULT_TOKEN_FILE) and
    VAULT_NAMESPACE are Vault's own. The members of the secret are called like the settings.
    """

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        wanted = os.environ.get("YAOSHI_VAULT_SECRET", "")
        self._secret = _read_vault(wanted) if wanted else {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the member of the secret that is called like the setting."""
        return self._secret.get(environment_name(field_name, field)), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return every value that the secret gives."""
        return _given(self)


def _given(source: PydanticBaseSettingsSource) -> dict[str, Any]:
    fields = source.settings_cls.model_fields.items()
    found = {name: source.get_field_value(field, name)[0] for name, field in fields}
    return {name: value for name, value in found.items() if value is not None}


def _read_vault(wanted: str) -> dict[str, str]:
    """Return the members of the secret. Raises SettingsRefused with a sentence that never holds the token."""
    mount, _, path = wanted.strip("/").partition("/")
    if not path:
        raise SettingsRefused("YAOSHI_VAULT_SECRET must be mount/path, like secret/yaoshi.")
    try:
        import hvac
        from requests import RequestException
    except ImportError:
        raise SettingsRefused("YAOSHI_VAULT_SECRET is set: install yaoshi[vault].") from None
    token_file = os.environ.get("VAULT_TOKEN_FILE")
    try:
        token = Path(token_file).read_text(encoding="ascii").strip() if token_file else os.environ.get("VAULT_TOKEN")
        client = hvac.Client(token=token, namespace=os.environ.get("VAULT_NAMESPACE"), timeout=VAULT_SECONDS)
        answer = client.secrets.kv.v2.read_secret_version(path, mount_point=mount, raise_on_deleted_version=True)
        members = answer["data"]["data"]
    except (OSError, UnicodeDecodeError, RequestException):
        raise SettingsRefused("Vault can't be reached: see VAULT_ADDR and VAULT_TOKEN_FILE.") from None
    except (hvac.exceptions.VaultError, KeyError, TypeError) as error:
        raise SettingsRefused(
            f"Vault does not give {wanted} ({type(error).__name__}): see VAULT_TOKEN's rights and YAOSHI_VAULT_SECRET."
        ) from None
    return {str(name): str(value) for name, value in members.items()}
