"""Real server processes and real PostgreSQL, started on free ports and stopped by their own pid."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BACKEND = Path(__file__).resolve().parent.parent
START_SECONDS = 30
PARENT = ("YAOSHI_", "FLASK_", "SECRET_KEY", "JWT_SECRET_KEY", "DATABASE_URL", "PUBLIC_URL")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_of(instance: Path, extra: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PARENT)}
    return (
        kept
        | {
            "YAOSHI_INSTANCE_DIR": str(instance),
            "FLASK_ENV": "development",
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": "",
        }
        | extra
    )


def yaoshi(instance: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the operator to its end."""
    command = [sys.executable, "-m", "yaoshi.cli.main", *arguments]
    return subprocess.run(
        command,
        cwd=BACKEND,
        env=environment_of(instance, extra),
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


class Server:
    """One `yaoshi serve` on a port of its own; `say` speaks to it."""

    def __init__(self, instance: Path, extra: dict[str, str], *, threads: int = 12, workers: int = 1) -> None:
        instance.mkdir(parents=True, exist_ok=True)
        self.instance, self.extra, self.port = instance, extra, free_port()
        self.sizes = ["--threads", str(threads), "--workers", str(workers)]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = instance / f"server-{self.port}.log"
        self.start()

    def start(self) -> None:
        upgraded = yaoshi(self.instance, "db", "upgrade", **self.extra)
        assert upgraded.returncode == 0, upgraded.stderr
        command = [sys.executable, "-m", "yaoshi.cli.main", "serve", "--port", str(self.port), *self.sizes]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=BACKEND,
                env=environment_of(self.instance, self.extra),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                requests.get(f"{self.url}/healthz", timeout=1)
                return
            except requests.RequestException:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def say(self, method: str, path: str, **more: Any) -> requests.Response:
        more.setdefault("timeout", 30)
        return requests.request(method, self.url + path, **more)

    def post(self, door: str, body: Any, **more: Any) -> requests.Response:
        return self.say("POST", f"/api/auth/{door}", json=body, **more)

    def register(self, username: str, password: str = "Secret123") -> requests.Response:
        return self.post("register", {"username": username, "email": f"{username}@example.com", "password": password})

    def login(self, username: str, password: str = "Secret123") -> requests.Response:
        return self.post("login", {"username": username, "password": password})

    def kill(self) -> None:
        """kill -9 of the server and every worker of its session."""
        os.killpg(self.process.pid, 9)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class Postgres:
    """A PostgreSQL of our own in a folder of its own; it refuses to run as root, so root lends it a user."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="yaoshi-postgres-"))
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        assert found, "PostgreSQL is not installed: python dev.py system-packages --install"
        self.bin, self.data, self.port = found[-1], folder / "data", free_port()
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if as_user:
            shutil.chown(folder, "postgres")
        initdb = [*as_user, self.bin / "initdb", "-D", self.data, "-A", "trust", "-U", "yaoshi", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True)
        server = [self.bin / "postgres", "-D", self.data, "-p", str(self.port), "-k", "", "-h", "127.0.0.1", "-F"]
        self.process = subprocess.Popen([*as_user, *server], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://yaoshi@127.0.0.1:{self.port}/{database}"

    def wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        ready = [self.bin / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, capture_output=True).returncode:
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.1)

    def create(self, database: str) -> str:
        subprocess.run(
            [self.bin / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "yaoshi", database], check=True
        )
        return self.url(database)

    def stop(self) -> None:
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, 2)
        self.process.wait(20)
        shutil.rmtree(self.data.parent, ignore_errors=True)


def certificate(folder: Path) -> ssl.SSLContext:
    """A throw-away certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "tls.pem").write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.pem")
    return context
