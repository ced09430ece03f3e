"""`yaoshi doctor`: what is wrong, in plain words, and how to mend it."""

import os
import platform
from itertools import product
from typing import Literal, NamedTuple

from sqlalchemy import func, select

from yaoshi import instance
from yaoshi.accounts.models import User
from yaoshi.accounts.policy import Role
from yaoshi.bootstrap import House, build
from yaoshi.core.engines import sqlite_path
from yaoshi.core.errors import Problem, SettingsRefused
from yaoshi.core.phrases import LANGUAGES
from yaoshi.messaging.letters import CODES, KINDS, NOTICES, Unwritable, sample
from yaoshi.server import notices
from yaoshi.settings import Settings, load


class Finding(NamedTuple):
    """One thing to know: `wrong` must be mended, `careful` should be looked at, `good` was checked."""

    level: Literal["wrong", "careful", "good"]
    text: str


def examine() -> list[Finding]:
    """Return every finding; nothing is changed and no secret is named."""
    try:
        settings, warnings = load(None, instance.env_file())
    except SettingsRefused as refused:
        return [Finding("wrong", str(refused))]
    findings = [Finding("good", f"Settings can be read; mode {settings.mode.value}.")]
    findings += [Finding("careful", text) for text in (*warnings, *notices(settings))]
    if not settings.development and Role.REGULATOR in settings.self_assignable_roles:
        text = "YAOSHI_SELF_ASSIGNABLE_ROLES lets anybody register as regulator. Take it out unless that is meant."
        findings.append(Finding("careful", text))
    if not settings.development and settings.public_url == "http://localhost":
        findings.append(Finding("careful", "PUBLIC_URL is not set: tokens name http://localhost as their issuer."))
    return findings + _files(settings) + _database(settings) + _speed()


def _files(settings: Settings) -> list[Finding]:
    try:
        file = sqlite_path(instance.database_url(settings))
    except SettingsRefused as refused:
        return [Finding("wrong", str(refused))]
    if file is None or not file.exists() or os.name == "nt":
        return []
    if file.stat().st_mode & 0o077:
        return [Finding("wrong", f"{file} can be read by others. Run: chmod 600 {file}")]
    return [Finding("good", f"{file} is its owner's alone.")]


def _database(settings: Settings) -> list[Finding]:
    try:
        house = build(settings)
    except (SettingsRefused, ImportError) as refused:
        return [Finding("wrong", str(refused))]
    try:
        house.installation.check()
        return [
            Finding("good", "The database answers and is of this version."),
            *_people(house),
            *_messages(house),
            *_words(house),
        ]
    except SettingsRefused as refused:
        return [Finding("wrong", str(refused))]
    except Problem as problem:
        return [Finding("wrong", f"{problem.phrase.en} Check DATABASE_URL and that the database runs.")]
    finally:
        house.close()


def _people(house: House) -> list[Finding]:
    with house.db.read() as db:
        regulators = db.scalar(select(func.count()).where(User.role == Role.REGULATOR.value)) or 0
        waiting = db.scalar(select(func.count()).where(User.requested_role.is_not(None))) or 0
    found = []
    if regulators:
        found.append(Finding("careful", f"{regulators} regulators. Check each: yaoshi accounts list --role regulator"))
    if waiting:
        found.append(Finding("careful", f"{waiting} accounts wait for a role: yaoshi accounts list, then set-role."))
    return found


def _messages(house: House) -> list[Finding]:
    """Speak to every provider with our key; name what people could not be sent."""
    found = []
    for name, wrong in house.messages.greet():
        text = f"{name} can't be used: {wrong}." if wrong else f"{name} can be reached and takes the key."
        found.append(Finding("wrong" if wrong else "good", text))
    for channel, setting in (("email", "YAOSHI_SMTP_URL"), ("phone", "YAOSHI_SMS_PROVIDERS")):
        if not house.messages.carriers(channel, "test") and not house.messages.carriers(channel, CODES[0]):
            found.append(Finding("careful", f"No messages by {channel}: codes asked for go nowhere. Set {setting}."))
            continue
        lacking = [kind for kind in (*CODES, *NOTICES) if not house.messages.carriers(channel, kind)]
        if lacking:
            text = f"No provider has a template for {', '.join(lacking)}: these are not sent by {channel}."
            found.append(Finding("careful", text))
    return found + _templates(house.settings)


def _templates(settings: Settings) -> list[Finding]:
    """Name each vendor's missing templates by message and language."""
    approved = {"aliyun": settings.aliyun_templates, "tencent": settings.tencent_templates}
    found = []
    for name in [name for name in settings.sms_providers if name in approved]:
        lacking = [f"{kind}.{language}" for kind in (*CODES, *NOTICES) for language in approved[name].lacking(kind)]
        if lacking:
            text = (
                f"YAOSHI_{name.upper()}_TEMPLATES lacks {', '.join(lacking)}. A message goes in its"
                " other language; without any it does not go by this provider."
            )
            found.append(Finding("careful", text))
    return found


def _words(house: House) -> list[Finding]:
    """Write every message once, as people would get it."""
    found = []
    for kind, language in product(KINDS, LANGUAGES):
        try:
            house.letters.write("doctor", kind, language, "ana@example.com", sample(kind))
        except Unwritable as broken:
            found.append(Finding("wrong", f"{broken} ({broken.__cause__}). See YAOSHI_TEMPLATES_DIR."))
    folder = house.settings.templates_dir
    known = {f"{kind}/{language}.txt" for kind, language in product(KINDS, LANGUAGES)} | {"layout.html"}
    used = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} if folder else set()
    if used - known:
        text = f"YAOSHI_TEMPLATES_DIR holds what no message uses: {', '.join(sorted(used - known))}."
        found.append(Finding("careful", text))
    return found or [Finding("good", "Every message can be written in each language.")]


def _speed() -> list[Finding]:
    if platform.machine() not in ("x86_64", "AMD64"):
        return []
    text = "Sign-ins per second can nearly double with Argon2 built for this machine: see docs/operations.md."
    return [Finding("good", text)]
