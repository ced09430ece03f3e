"""Figures for Prometheus on a listener of their own; loaded where the operator wants them, and nowhere else.

Labels are route templates, statuses, channels, states and the events of our own log: nothing that anybody types.
"""

import errno
from collections.abc import Iterable
from typing import Any

import structlog
from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, Counter, ProcessCollector, disable_created_metrics, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from yaoshi.core.db import Database
from yaoshi.core.errors import Problem
from yaoshi.core.types import Clock
from yaoshi.outbox.models import Message
from yaoshi.outbox.policy import State

MOST_PROCESSES = 100


def publish(db: Database, clock: Clock, host: str, port: int, app: Flask | None) -> None:
    """Serve the figures of this process, the requests of `app` among them, from a thread that ends with it.

    Several processes share one setting: each takes the first free port from `port` on. Without any the log says so,
    and the process does its work all the same.
    """
    # A second series for each says nothing.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Outbox(db, clock))
    _count_alarms(registry)
    if app:
        _count_requests(registry, app)
    for place in range(port, min(port + MOST_PROCESSES, 65536)):
        try:
            start_http_server(place, host, registry)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            structlog.get_logger().error("metrics_unavailable", port=place, reason=error.strerror)
            return
        structlog.get_logger().info("metrics", port=place)
        return
    structlog.get_logger().error("metrics_unavailable", port=port, reason="no free port")


class _Outbox(Collector):
    """Counts messages in the database, whenever somebody asks."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing while the database is away: a figure that is missing is better than a wrong one."""
        found = select(Message.channel, Message.state, func.count(), func.min(Message.created_at))
        try:
            with self._db.read() as db:
                rows = db.execute(found.group_by(Message.channel, Message.state)).all()
        except Problem:
            return []
        numbers = GaugeMetricFamily("yaoshi_messages", "Messages of the last days.", labels=("channel", "state"))
        oldest = GaugeMetricFamily(
            "yaoshi_messages_oldest_waiting_seconds", "Since when the oldest message waits.", labels=("channel",)
        )
        for channel, state, number, since in rows:
            numbers.add_metric((channel, state), number)
            if state == State.WAITING.value:
                oldest.add_metric((channel,), (self._clock.now() - since).total_seconds())
        return [numbers, oldest]


def _count_requests(registry: CollectorRegistry, app: Flask) -> None:
    requests = Counter("yaoshi_requests", "Requests answered.", ("route", "status"), registry=registry)

    def count(response: Response) -> Response:
        rule = request.url_rule
        requests.labels(rule.rule if rule else "", response.status_code).inc()
        return response

    app.after_request(count)


def _count_alarms(registry: CollectorRegistry) -> None:
    """Count what the log calls an error, by its event: whatever raises an alarm there is counted here."""
    alarms = Counter("yaoshi_alarms", "Errors in the log, by event.", ("reason",), registry=registry)

    def count(_logger: Any, method: str, event: Any) -> Any:
        if method in ("error", "exception", "critical"):
            alarms.labels(event["event"]).inc()
        return event

    structlog.configure(processors=[count, *structlog.get_config()["processors"]])
