"""`flask db …`, as the legacy system promised: Flask-Migrate over our own Alembic environment.

Flask-Migrate reads tables from an extension object; ours stands in for Flask-SQLAlchemy, which nothing here uses.
"""

import sys

from alembic.config import Config
from flask import Flask
from flask_migrate import Migrate
from sqlalchemy import MetaData

from yaoshi.migrations import metadata
from yaoshi.migrations.upgrade import FOLDER


class _Tables:
    """What Flask-Migrate asks of its `db`: the tables."""

    metadata: MetaData = metadata


def install(app: Flask, url: str) -> None:
    """Add the `db` commands to `app`, working on the database of `url`.

    Source: the legacy system's own instructions, which people follow by habit.
    """

    def named(config: Config) -> Config:
        config.attributes["url"] = url
        config.stdout = sys.stdout  # of this call: the library takes what was there when it was imported
        return config

    Migrate(app, _Tables(), directory=str(FOLDER)).configure(named)
