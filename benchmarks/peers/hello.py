"""The reference for `me`: a Flask view that returns the same bytes through orjson, and does nothing else."""

import orjson
from flask import Flask, Response

USER = {
    "id": 1,
    "username": "user1",
    "email": "user1@example.com",
    "phone": None,
    "role": "unauth",
    "requested_role": None,
    "created_at": "2026-01-01T00:00:00.000Z",
}


def create_app() -> Flask:
    """Return the application."""
    app = Flask(__name__)

    @app.get("/api/auth/me")
    def me() -> Response:
        return Response(orjson.dumps({"user": USER}), 200, content_type="application/json")

    return app
