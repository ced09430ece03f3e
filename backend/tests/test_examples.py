"""The examples for other services, as real processes: what they let in, and that a rotation never makes them fail."""

import base64
import hmac
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import ECKey
from test_attacks import FAST, LIMITS_ABOVE, PRODUCTION, TOGETHER, Start

from servers import BACKEND, free_port, yaoshi

pytestmark = pytest.mark.attacks
EXAMPLES = BACKEND.parent / "examples"
Examples = Callable[[str], list[str]]


@pytest.fixture
def examples(tmp_path: Path) -> Iterator[Examples]:
    """Start both examples against a server; return where they answer."""
    running: list[subprocess.Popen[bytes]] = []
    node, npm = shutil.which("node"), shutil.which("npm")
    assert node and npm, "Node is not installed: python dev.py system-packages --install"
    express = shutil.copytree(
        EXAMPLES / "verify-express", tmp_path / "express", ignore=shutil.ignore_patterns("node_modules")
    )
    subprocess.run([npm, "ci", "--silent", "--prefer-offline"], cwd=express, check=True, timeout=120)

    def start(server: str) -> list[str]:
        found = []
        for command in ([sys.executable, EXAMPLES / "verify-flask" / "app.py"], [node, express / "app.mjs"]):
            port = free_port()
            environment = os.environ | {"YAOSHI_URL": server, "PORT": str(port), "YAOSHI_JWKS_CACHE_SECONDS": "2"}
            running.append(
                subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            found.append(f"http://127.0.0.1:{port}/hello")
        for url in found:
            deadline = time.monotonic() + 30
            while True:
                try:
                    assert requests.get(url, timeout=5).status_code == 401
                    break
                except requests.RequestException:
                    assert time.monotonic() < deadline, url
                    time.sleep(0.05)
        return found

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


@pytest.fixture
def key_set() -> Iterator[tuple[str, list[ECKey]]]:
    """A server of our own keys: the test may sign what Yaoshi never would."""
    keys = [ECKey.generate_key("P-256", {"alg": "ES256"})]

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            listed = [{**key.as_dict(private=False), "kid": key.thumbprint(), "alg": "ES256"} for key in keys]
            body = json.dumps({"keys": listed}).encode()
            self.send_response(200 if keys else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", keys
    server.shutdown()
    server.server_close()


def b64(part: str | bytes) -> str:
    return base64.urlsafe_b64encode(part.encode() if isinstance(part, str) else part).rstrip(b"=").decode()


def asked(url: str, token: str) -> requests.Response:
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10)


def test_examples_let_in_what_the_contract_says_and_nothing_else(
    examples: Examples, key_set: tuple[str, list[ECKey]]
) -> None:
    server, keys = key_set
    urls = examples(server)
    now = int(time.time())
    claims = {"iss": "http://localhost", "aud": "yaoshi", "sub": "7", "sid": "s", "iat": now, "exp": now + 900}

    def signed(key: Any = None, header: dict[str, Any] | None = None, **changed: Any) -> str:
        key = key or keys[0]
        head = {"alg": "ES256", "typ": "at+jwt", "kid": key.thumbprint()} | (header or {})
        said = {name: value for name, value in (claims | changed).items() if value is not None}
        return jwt.encode({k: v for k, v in head.items() if v}, said, key, algorithms=["ES256"])

    stranger = ECKey.generate_key("P-256")
    good, kid = signed(), keys[0].thumbprint()
    message = ".".join((b64(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": kid})), good.split(".")[1]))
    by_public_key = hmac.new(keys[0].as_pem(private=False), message.encode(), "sha256").digest()
    refused = {
        "typ": signed(header={"typ": "JWT"}), "no typ": signed(header={"typ": None}), "iss": signed(iss="http://evil"),
        "aud": signed(aud="shop"), "no aud": signed(aud=None), "expired": signed(exp=now - 60), "no exp": signed(exp=None),
        "no sub": signed(sub=None), "stranger": signed(stranger, header={"kid": kid}), "unknown kid": signed(stranger, header={"kid": "x"}),
        "public key as secret": f"{message}.{b64(by_public_key)}", "garbage": "x.y.z", "nothing": "",
        "alg none": "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + good.split(".")[1] + ".",
        "cut": good[:-4],
        "crit": ".".join((b64(json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": kid, "crit": 5})),
                          *good.split(".")[1:])),
    }  # fmt: skip
    for url in urls:
        assert asked(url, good).json() == {"user_id": "7"}, url
        for name, token in refused.items():
            assert asked(url, token).status_code == 401, (url, name)
    keys.insert(0, ECKey.generate_key("P-256"))
    time.sleep(1.1)  # the examples' cooldown
    latest = signed(keys[0])
    for url in urls:
        assert asked(url, latest).status_code == 200, "a new key is found"
    keys.clear()
    time.sleep(2.1)  # the examples' cache
    assert asked(urls[0], latest).status_code == 200, "a server that restarts signs nobody out of other services"
    assert asked(urls[0], signed(stranger, header={"kid": "x"})).status_code == 401


@pytest.mark.timeout(400)
def test_k01_rotating_every_ten_seconds_under_load_fails_no_request_anywhere(
    tmp_path: Path, start_server: Start, examples: Examples
) -> None:
    limits = {"YAOSHI_LIMIT_REFRESH_SESSION": "1000000/hour", "YAOSHI_KEY_PUBLISH_SECONDS": "5"}
    environment = {**LIMITS_ABOVE, **FAST, **PRODUCTION, **TOGETHER, **limits}
    servers = [start_server(tmp_path / "instance", **environment) for _ in range(2)]
    urls = [*(f"{server.url}/api/auth/me" for server in servers), *examples(servers[0].url)]
    servers[0].register("ana")
    stop = threading.Event()
    answers: Counter[tuple[str, int]] = Counter()
    kids: set[str] = set()

    def load(number: int) -> None:
        token = servers[number].login("ana").json()
        with requests.Session() as own:
            while not stop.is_set():
                for url in urls:
                    headers = {"Authorization": f"Bearer {token['access_token']}"}
                    answers[url, own.get(url, headers=headers, timeout=30).status_code] += 1
                body = {"refresh_token": token["refresh_token"]}
                renewed = own.post(f"{servers[number].url}/api/auth/refresh", json=body, timeout=30)
                answers["refresh", renewed.status_code] += 1
                token = renewed.json()
                kids.add(token["access_token"].split(".")[0])
                time.sleep(0.02)

    with ThreadPoolExecutor(2) as clients:
        running = [clients.submit(load, number) for number in range(2)]
        for _ in range(12):
            time.sleep(10)
            assert yaoshi(tmp_path / "instance", "keys", "rotate", **environment).returncode == 0
        time.sleep(6)
        stop.set()
        for one in running:
            one.result()
    assert {status for _, status in answers} == {200} and len(kids) == 13, answers
