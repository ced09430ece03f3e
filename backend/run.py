"""Start the development server: `python run.py [--port N]`; also the application for `flask run` and `flask db`.

Importing this file does nothing.
"""

import argparse
import sys

from flask import Flask


def create_app() -> Flask:
    """Return the application, with the `flask db` commands, for Flask's own command line."""
    from yaoshi import instance
    from yaoshi.app import create_app as around
    from yaoshi.bootstrap import build
    from yaoshi.migrations.legacy_commands import install
    from yaoshi.server import settings_of_process
    from yaoshi.web.access import set_up_logs

    set_up_logs()
    settings = settings_of_process()
    app = around(build(settings))
    install(app, instance.database_url(settings))
    return app


def main() -> int:
    """Upgrade the database, say where the server listens, serve. Returns the exit code."""
    from yaoshi import instance
    from yaoshi.core.errors import SettingsRefused
    from yaoshi.migrations.upgrade import upgrade
    from yaoshi.server import demand_stated_mode, serve, settings_of_process
    from yaoshi.settings import Mode

    parser = argparse.ArgumentParser(description="Start Yaoshi for development.")
    parser.add_argument("--port", type=int, default=5000)
    arguments = parser.parse_args()
    try:
        settings = settings_of_process(Mode.DEVELOPMENT)
        demand_stated_mode(settings)
        print(upgrade(instance.database_url(settings)))
        serve(settings, "127.0.0.1", arguments.port)
    except SettingsRefused as refused:
        print(f"yaoshi: {refused}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
