"""Make what is generated: `.env.example`, `docs/reference/settings.md`, `problems.md`, `openapi.json`.

python scripts/reference.py            write them
python scripts/reference.py --check    exit with 1 if one is not what the code says
"""

import json
import re
import sys
from pathlib import Path

from yaoshi import __version__
from yaoshi.app import contracts_of
from yaoshi.core.sources import environment_name
from yaoshi.settings import Settings
from yaoshi.web.openapi import describe
from yaoshi.web.problems import catalogue

BACKEND = Path(__file__).resolve().parent.parent
REFERENCE = BACKEND.parent / "docs" / "reference"
_STATED = {"FLASK_ENV": "development"}


def settings() -> list[tuple[str, str, str]]:
    """Return (name, default, meaning) of every setting."""
    rows = [
        ("YAOSHI_INSTANCE_DIR", "`instance`", "The folder of the database and of what the server keeps for itself.")
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory else field.default
        shown = ", ".join(default) if isinstance(default, tuple | frozenset) else default
        meaning = re.sub(r"\s+", " ", field.description or "")
        rows.append((environment_name(name, field), "" if shown in (None, "") else f"`{shown}`", meaning))
    return rows


def env_example() -> str:
    """Return .env.example; it starts as it is, in development."""
    lines = ["# Copy to .env. Each name also works as NAME_FILE, naming a file that holds the value.", ""]
    for name, default, meaning in settings():
        value = _STATED.get(name)
        lines += [f"# {meaning}", f"{name}={value}" if value else f"#{name}={default.strip('`')}", ""]
    return "\n".join(lines)


def settings_page() -> str:
    """Return docs/reference/settings.md."""
    head = "# Settings\n\nEach also as `NAME_FILE`. A misspelt `YAOSHI_` name is a warning at start.\n"
    rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in settings()]
    return "\n".join([head, "| name | default | meaning |", "| --- | --- | --- |", *rows, ""])


def problems_page() -> str:
    """Return docs/reference/problems.md."""
    head = "# Problems\n\nEvery refusal is RFC 9457 with one of these codes; a code never changes.\n"
    known = sorted(catalogue().items(), key=lambda item: (item[1][0], item[0]))
    rows = [f"| `{code}` | {status} | {phrase.en} | {phrase.zh} |" for code, (status, phrase) in known]
    return "\n".join([head, "| code | status | English | 中文 |", "| --- | --- | --- | --- |", *rows, ""])


def openapi() -> str:
    """Return the OpenAPI document of a production server."""
    document = describe(contracts_of(development=False), __version__, "http://localhost")
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    """Write or check; return the exit code."""
    wanted = {
        BACKEND / ".env.example": env_example(),
        REFERENCE / "settings.md": settings_page(),
        REFERENCE / "problems.md": problems_page(),
        REFERENCE / "openapi.json": openapi(),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.name} is stale: run python dev.py lint --fix", file=sys.stderr)
        return 1 if stale else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
