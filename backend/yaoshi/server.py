"""How a process begins: its settings, its words at the start, and the server around the application."""

import gc
import os
import socket
import sqlite3
import sys
import threading
from contextlib import suppress

import click
from flask import Flask
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

from yaoshi import instance
from yaoshi.bootstrap import OPERATOR, House, build
from yaoshi.core.engines import WRITE_WAIT_SECONDS, sqlite_path
from yaoshi.core.errors import Problem, SettingsRefused
from yaoshi.settings import Mode, Settings, load

HASH_QUEUE = 4
RESERVE_THREADS = 3
HOUSEKEEPING_SECONDS = 3600
_held: list[sqlite3.Connection] = []


def settings_of_process(default_mode: Mode | None = None, *, quiet: bool = False) -> Settings:
    """Return this process's settings, telling its owner on standard error what to know about them.

    Raises SettingsRefused. Files that the process makes from here on are its owner's alone.
    """
    os.umask(0o077)
    settings, warnings = load(default_mode, instance.env_file())
    for warning in () if quiet else warnings:
        click.echo(f"warning: {warning}", err=True)
    return settings


def demand_stated_mode(settings: Settings) -> None:
    """Raise SettingsRefused where development was not asked for and nobody watches: a service, a container."""
    if settings.development and not os.environ.get("FLASK_ENV") and not instance.has_terminal():
        raise SettingsRefused(
            "Without a terminal this does not start in development mode by default."
            " Set FLASK_ENV=development, or FLASK_ENV=production to serve others."
        )


def serve(settings: Settings, host: str, port: int, threads: int | None = None, workers: int = 1) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish the requests at hand. Raises SettingsRefused."""
    if settings.development and host not in ("127.0.0.1", "localhost", "::1"):
        raise SettingsRefused(f"Development mode serves this machine only, not {host}. Set FLASK_ENV=production.")
    settings = _shared_among(settings, workers)
    _demand_free(host, port)
    hold_counters(settings)
    house = build(settings)
    try:
        house.open()
        _say_hello(house, host, port)
    finally:
        house.close()
    # The worker is forked where the system can: what both have loaded is then shared and stays so.
    gc.collect()
    gc.freeze()
    # A proxy may forward a twin of its own header spelled with underscores. The WSGI environment can't tell the two
    # apart, so where forwarded addresses count the application is reached over RSGI, which sees raw names.
    behind_proxy = bool(settings.trusted_proxies)
    threads = threads or settings.hash_workers * (1 + HASH_QUEUE) + RESERVE_THREADS
    _take_turns_calmly()
    os.environ["FLASK_ENV"] = settings.mode.value
    os.environ["_YAOSHI_THREADS"], os.environ["_YAOSHI_PORT"] = str(threads), str(port)
    Granian(
        "yaoshi.wsgi:rsgi" if behind_proxy else "yaoshi.wsgi:wsgi",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.RSGI if behind_proxy else Interfaces.WSGI,
        workers=workers,
        blocking_threads=1 if behind_proxy else threads,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=64 * 1024, header_read_timeout=10_000),
        websockets=False,
        workers_kill_timeout=10,
        respawn_failed_workers=True,
        log_level="error",  # type: ignore[arg-type]  # the library turns names into its enum
    ).serve()


def hold_counters(settings: Settings) -> None:
    """Make sure, for as long as this process lives, that no other counts apart from it. Raises SettingsRefused.

    Who counts in memory holds its SQLite file alone, who counts in the database shares it: by SQLite's own locks on a
    file beside the database, which the system lets go even at kill -9.
    """
    file = sqlite_path(instance.database_url(settings))
    if file is None and settings.counters == "memory":
        raise SettingsRefused("YAOSHI_COUNTERS=memory counts in one process, and PostgreSQL serves many: leave it out.")
    if file is None or _held:
        return
    alone = settings.counters != "database"
    held = sqlite3.connect(file.with_name(file.name + "-serving"), WRITE_WAIT_SECONDS, isolation_level=None)
    try:
        held.execute("BEGIN EXCLUSIVE" if alone else "BEGIN")
        held.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        raise SettingsRefused(
            f"Another process serves {file}, and one of the two counts attempts in its own memory, so each would allow"
            " as many as both may. Set YAOSHI_COUNTERS=database for both, or stop the other."
        ) from None
    _held.append(held)


def keep_house(house: House) -> None:
    """Send what waits, and every hour purge what is over and draw decoys anew: on threads that end with the process."""

    def tidy() -> None:
        while not stop.wait(HOUSEKEEPING_SECONDS):
            try:
                house.installation.purge(OPERATOR)
                house.ring.keep(OPERATOR)
                house.passwords.learn_mix()
            except Problem as problem:
                click.echo(f"warning: housekeeping waits: {problem.code}", err=True)

    if house.settings.embedded_worker:
        house.worker.start()
    stop = threading.Event()
    threading.Thread(target=tidy, name="housekeeping", daemon=True).start()


def publish_metrics(house: House, app: Flask | None = None) -> None:
    """Serve figures on a listener of their own, if the operator wants them; else nothing is loaded and counted."""
    settings = house.settings
    if settings.metrics_port is not None:
        from yaoshi.ops.metrics import publish

        publish(house.db, house.clock, settings.metrics_host, settings.metrics_port, app)


def notices(settings: Settings) -> list[str]:
    """Return what an operator must know of a server that starts like this."""
    if settings.development:
        return [
            "Development mode: this machine only; answers SHOW RESET CODES. Never use it to serve others.",
            "开发模式：仅限本机访问，响应中会显示验证码，切勿用于对外服务。",
        ]
    said = []
    if not settings.smtp_url and not settings.sms_providers:
        said.append(
            "No provider for messages: codes can't be delivered. Set YAOSHI_SMTP_URL or YAOSHI_SMS_PROVIDERS, or make"
            " codes with `yaoshi accounts reset`. 未配置消息通道，暂不能发送验证码，请用该命令生成。"
        )
    if not settings.trusted_proxies:
        said.append(
            "No YAOSHI_TRUSTED_PROXIES: callers behind a proxy on this machine share one address, with limits ten times"
            " as large."
        )
    return said


def _shared_among(settings: Settings, workers: int) -> Settings:
    """Return the settings of `workers` processes, which the environment hands to them. Raises SettingsRefused."""
    if workers == 1:
        return settings
    if settings.counters == "memory":
        raise SettingsRefused(
            f"YAOSHI_COUNTERS=memory counts in one process, not in {workers}: leave it out, or say database."
        )
    hash_workers = settings.hash_workers
    if "hash_workers" not in settings.model_fields_set:
        hash_workers = max(1, hash_workers // workers)
    os.environ["YAOSHI_COUNTERS"], os.environ["YAOSHI_HASH_WORKERS"] = "database", str(hash_workers)
    return settings.model_copy(update={"counters": "database", "hash_workers": hash_workers})


def _say_hello(house: House, host: str, port: int) -> None:
    settings = house.settings
    file = sqlite_path(instance.database_url(settings))
    warnings = instance.secure_database(settings, file) if file else []
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    lines = [
        f"Yaoshi 钥匙  {where}",
        f"  mode       {settings.mode.value}",
        f"  database   {file or 'PostgreSQL'}",
        f"  API page   {where}/docs" if settings.api_page else "  API page   off",
        *(f"  ! {notice}" for notice in (*notices(settings), *warnings)),
    ]
    click.echo("\n".join(lines))
    sys.stdout.flush()


def _take_turns_calmly() -> None:
    """Let no thread of ours push another from its core merely because it woke up: of two that want the interpreter one
    would only wait for the other. On Linux, where it makes a third of the switches; elsewhere nothing.
    """
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _demand_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsRefused(
                f"Port {port} on {host} can't be used ({error.strerror}): another program holds it, or it needs"
                f" rights. Choose another with --port N."
            ) from None
