"""One command per job, on a machine that has only Python: `python dev.py help`.

Standard library only, for Linux, macOS and Windows: it makes `.venv`, installs the hashed lock and runs the job there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
BACKEND = ROOT / "backend"
VENV = ROOT / ".venv"
STAMP = VENV / ".stamp"
LOCK = ROOT / ".venv.lock"
LOCKS = (BACKEND / "requirements.txt", BACKEND / "requirements-dev.txt")
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
SET_UP_SECONDS = 600
DEBIAN = ("postgresql", "wrk")
LINTED = ("dev.py", "backend", "benchmarks")

TIERS = {
    "fast": "not attacks and not postgres and not timing",
    "attacks": "attacks and not postgres",
    "postgres": "postgres",
    "timing": "timing",
}


def main(arguments: list[str]) -> int:
    """Run the job that `arguments` name; return its exit code."""
    if sys.version_info < (3, 11):
        print("Yaoshi needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".", file=sys.stderr)
        return 2
    name, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    job = JOBS.get(name)
    if job is None:
        print("There is no job called " + name + ". Try: python dev.py help", file=sys.stderr)
        return 2
    try:
        return job(rest)
    except KeyboardInterrupt:
        return 130
    except Failed as failed:
        print(failed, file=sys.stderr)
        return 1


class Failed(Exception):
    """A step did not succeed; the text says which."""


def run_server(rest: list[str]) -> int:
    """run [--port N]: upgrade the database and serve for development"""
    set_up()
    return call([PYTHON, BACKEND / "run.py", *rest])


def test(rest: list[str]) -> int:
    """test [--attacks] [pytest arguments]: the tests on SQLite; with --attacks races, crashes and adoption"""
    tier = "attacks" if "--attacks" in rest else "fast"
    return pytest(tier, [one for one in rest if one != "--attacks"])


def timing(rest: list[str]) -> int:
    """timing: whether answers tell by their time who exists, with its two self-checks"""
    return pytest("timing", ["-n", "0", *rest])


def lint(rest: list[str]) -> int:
    """lint [--fix]: format, lint, import contracts, dependencies, Dockerfile, locks"""
    set_up()
    config = ["--config", str(BACKEND / "pyproject.toml")]
    fix = "--fix" in rest
    steps = [
        [SCRIPTS / "ruff", "format", *config, *([] if fix else ["--check"]), *LINTED],
        [SCRIPTS / "ruff", "check", *config, *(["--fix"] if fix else []), *LINTED],
    ]
    codes = [call(step, cwd=ROOT) for step in steps]
    codes.append(call([SCRIPTS / "lint-imports"], cwd=BACKEND))
    codes.append(call([SCRIPTS / "deptry", "."], cwd=BACKEND))
    if os.name != "nt":
        codes.append(call([SCRIPTS / "hadolint", "Dockerfile"], cwd=ROOT))
    codes.append(call([PYTHON, "scripts/reference.py", *([] if fix else ["--check"])], cwd=BACKEND))
    return max(codes)


def types(rest: list[str]) -> int:
    """types: mypy, strict"""
    set_up()
    return call([SCRIPTS / "mypy", *rest], cwd=BACKEND)


def lock(rest: list[str]) -> int:
    """lock [--upgrade]: write the two requirement files anew from pyproject.toml, with hashes and no address"""
    set_up()
    common = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--quiet"]
    common += ["--no-emit-find-links", "--custom-compile-command", "python dev.py lock", *rest, "pyproject.toml"]
    compile_ = [SCRIPTS / "uv", "pip", "compile"]
    lean = [*compile_, "--extra", "postgres", *common, "-o", "requirements.txt"]
    full = [
        *compile_,
        "--all-extras",
        "--group",
        "dev",
        *common,
        "-c",
        "requirements.txt",
        "-o",
        "requirements-dev.txt",
    ]
    return call(lean, cwd=BACKEND) or call(full, cwd=BACKEND)


def bench(rest: list[str]) -> int:
    """bench [--json FILE]: the figures beside their references"""
    set_up()
    return call([PYTHON, ROOT / "benchmarks" / "run.py", *rest])


def ci(rest: list[str]) -> int:
    """ci: everything that must hold, in a clean clone"""
    mine = [sys.executable, Path(__file__)]
    steps = {
        "system packages": [*mine, "system-packages", "--install"],
        "lint": [*mine, "lint"],
        "types": [*mine, "types"],
        "tests": [*mine, "test"],
        "attacks": [*mine, "test", "--attacks"],
        "postgres": [*mine, "_postgres"],
    }
    for name, command in steps.items():
        print("== " + name, flush=True)
        began = time.monotonic()
        if call(command, cwd=ROOT):
            raise Failed("ci: " + name + " failed")
        print(f"== {name}: {time.monotonic() - began:.0f} s", flush=True)
    return 0


def postgres(rest: list[str]) -> int:
    """(used by ci) the tests that need PostgreSQL, which they start themselves"""
    return pytest("postgres", rest)


def clean(rest: list[str]) -> int:
    """clean: remove .venv and every cache; databases stay"""
    shutil.rmtree(VENV, ignore_errors=True)
    for pattern in (
        "__pycache__",
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
        ".import_linter_cache",
        ".hypothesis",
    ):
        for found in ROOT.rglob(pattern):
            shutil.rmtree(found, ignore_errors=True)
    return 0


def system_packages(rest: list[str]) -> int:
    """system-packages [--install]: what ci and bench need from Debian; shown, or installed where missing"""
    missing = [name for name in DEBIAN if not is_installed(name)]
    print("apt-get install --no-install-recommends " + " ".join(DEBIAN))
    if "--install" not in rest or not missing:
        return 0
    if shutil.which("apt-get") is None:
        raise Failed("No apt-get here. Install by hand: " + " ".join(missing))
    as_root = ["sudo"] if shutil.which("sudo") else []
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    call([*as_root, "apt-get", "update", "-qq"], env=environment)
    return call([*as_root, "apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing], env=environment)


def help_(rest: list[str]) -> int:
    """help: this list"""
    print("python dev.py JOB\n")
    for name, job in JOBS.items():
        if not name.startswith("_"):
            usage, _, says = (job.__doc__ or "").partition(": ")
            print(f"  {usage:<34} {says}")
    return 0


JOBS = {
    "run": run_server,
    "test": test,
    "timing": timing,
    "lint": lint,
    "types": types,
    "lock": lock,
    "bench": bench,
    "ci": ci,
    "_postgres": postgres,
    "clean": clean,
    "system-packages": system_packages,
    "help": help_,
}


def pytest(tier: str, rest: list[str]) -> int:
    """Run the tests of a tier; two processes at a time unless `rest` says otherwise."""
    set_up()
    spread = [] if "-n" in rest else ["-n", "2", "--dist", "loadfile"]
    return call([PYTHON, "-m", "pytest", "-q", "-m", TIERS[tier], *spread, *rest], cwd=BACKEND)


def set_up() -> None:
    """Make .venv and install the lock, unless that is done; of two starts at once one does it, the other waits."""
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in (*LOCKS, BACKEND / "pyproject.toml"))).hexdigest()
    if is_set_up(wanted):
        return
    with SetUpLock():
        if is_set_up(wanted):
            return
        print("Setting up .venv (once, about a minute) ...", flush=True)
        venv.create(VENV, with_pip=True, clear=VENV.exists())
        pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        steps = (
            [*pip, "--require-hashes", "-r", LOCKS[1]],
            [*pip, "--no-deps", "--no-build-isolation", "-e", BACKEND],
        )
        for step in steps:
            if call(step):
                raise Failed("The set-up failed: see the lines above. Start again when it is mended.")
        # Written last: an interrupted set-up begins anew.
        STAMP.write_text(wanted, encoding="ascii")


def is_set_up(wanted: str) -> bool:
    """Return whether .venv holds what the locks of this moment name."""
    return STAMP.exists() and PYTHON.exists() and STAMP.read_text(encoding="ascii") == wanted


class SetUpLock:
    """A file that only one process can make; one left behind by a crash is taken over after ten minutes."""

    def __enter__(self) -> None:
        """Wait for the lock and take it."""
        while True:
            try:
                os.close(os.open(LOCK, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                return
            except FileExistsError:
                if time.time() - LOCK.stat().st_mtime > SET_UP_SECONDS:
                    LOCK.unlink()
                time.sleep(0.5)

    def __exit__(self, *exception: object) -> None:
        """Let go."""
        LOCK.unlink()


def is_installed(package: str) -> bool:
    """Return whether what a Debian package brings is there."""
    if package == "postgresql":
        return any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return shutil.which(package) is not None


def call(command: list, cwd: Path | None = None, env: dict[str, str] | None = None) -> int:
    """Run a program and return its exit code; Ctrl-C reaches it first."""
    environment = dict(env or os.environ, PYTHONUTF8="1")
    process = subprocess.Popen([str(part) for part in command], cwd=cwd, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the child heard it too and ends in its own time


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
