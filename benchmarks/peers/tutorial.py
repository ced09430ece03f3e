"""The reference for `me` as tutorials build it: Flask, Flask-JWT-Extended, Flask-SQLAlchemy, under gunicorn gthread.

It looks the user up but checks no session: what it signed stays good until it expires.
"""

import os

from flask import Flask, jsonify
from flask_jwt_extended import JWTManager, create_access_token, get_jwt_identity, jwt_required
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["TUTORIAL_DATABASE"]
app.config["JWT_SECRET_KEY"] = "a-secret-of-the-tutorial-0123456789"
db = SQLAlchemy(app)
jwt = JWTManager(app)


class User(db.Model):
    """The tutorial's user."""

    id = db.Column(db.Integer, primary_key=True)
    username = db.Column(db.String(80), unique=True, nullable=False)
    email = db.Column(db.String(120), unique=True, nullable=False)
    role = db.Column(db.String(20), default="unauth")


@app.get("/api/auth/me")
@jwt_required()
def me():
    """Return who is signed in."""
    user = db.session.get(User, int(get_jwt_identity()))
    return jsonify(user={"id": user.id, "username": user.username, "email": user.email, "role": user.role})


def seed(count: int) -> list[str]:
    """Make `count` users and return a token of each."""
    with app.app_context():
        db.create_all()
        db.session.add_all(
            User(id=number, username=f"user{number}", email=f"user{number}@example.com")
            for number in range(1, count + 1)
        )
        db.session.commit()
        return [create_access_token(identity=str(number)) for number in range(1, count + 1)]


if __name__ == "__main__":
    print("\n".join(seed(int(os.environ["TUTORIAL_USERS"]))))
