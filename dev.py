"""One command per job, on a machine that has only Python: `python dev.py help`.

Standard library only, for Linux, macOS and Windows: it makes `.venv`, installs the hashed lock and runs the job there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent
BACKEND = ROOT / "backend"
VENV = ROOT / ".venv"
STAMP = VENV / ".stamp"
LOCK = ROOT / ".venv.lock"
LOCKS = (BACKEND / "requirements.txt", BACKEND / "requirements-dev.txt")
FRONTEND, CLIENT = ROOT / "frontend", ROOT / "client"
PAGE_SOURCES = (FRONTEND / "src", FRONTEND / "public", CLIENT / "src")
NPM_LOCKS = (FRONTEND / "package-lock.json", FRONTEND / "vite.config.ts", FRONTEND / "index.html")
PAGES = BACKEND / "yaoshi" / "_console" / "index.html"
PAGES_STAMP = FRONTEND / "node_modules" / ".built"
LEAST_NODE = (20, 19)
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
EXE = ".exe" if os.name == "nt" else ""
PYTHON = SCRIPTS / ("python" + EXE)
ADDRESSES = ("://", "--index-url", "--find-links")
SET_UP_SECONDS = 600
DEBIAN = ("postgresql", "wrk", "chromium", "fonts-noto-cjk", "nodejs", "npm")
LINTED = ("dev.py", "backend", "benchmarks", "examples")

TIERS = {
    "fast": "not attacks and not postgres and not timing and not pages",
    "pages": "pages",
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
    """run [--port N]: build the pages, upgrade the database and serve for development"""
    set_up()
    try:
        build_pages()
    except Failed as failed:
        print(f"{failed} The API works without the pages.", file=sys.stderr)
    return call([PYTHON, BACKEND / "run.py", *rest])


def test(rest: list[str]) -> int:
    """test [--attacks] [pytest arguments]: the tests on SQLite; with --attacks races, crashes and adoption"""
    tier = "attacks" if "--attacks" in rest else "fast"
    return pytest(tier, [one for one in rest if one != "--attacks"])


def timing(rest: list[str]) -> int:
    """timing: whether answers tell by their time who exists, with its two self-checks"""
    return pytest("timing", ["-n", "0", *rest])


def e2e(rest: list[str]) -> int:
    """e2e [--shots [FOLDER]]: the pages, the client and the example in a real Chromium"""
    set_up()
    build_pages()
    if "--shots" in rest:
        place = rest.index("--shots")
        named = rest[place + 1 : place + 2] if not "".join(rest[place + 1 : place + 2]).startswith("-") else []
        os.environ["YAOSHI_SHOTS"] = str(Path(*named or [ROOT / "shots"]).resolve())
        rest = rest[:place] + rest[place + 1 + len(named) :]
    return pytest("pages", ["-n", "2", *rest])


def pages(rest: list[str]) -> int:
    """pages [--check]: build the pages and the client; with --check lint and types of them as well"""
    set_up()
    build_pages()
    if "--check" not in rest:
        return 0
    steps = (["run", "-s", "types"], ["run", "-s", "lint"], ["run", "-s", "api", "--", "--check"])
    return max(npm(*step) for step in steps)


def lint(rest: list[str]) -> int:
    """lint [--fix]: format, lint, import contracts, dependencies, Dockerfile, locks"""
    set_up()
    config = ["--config", str(BACKEND / "pyproject.toml")]
    fix = "--fix" in rest
    steps = [
        [tool("ruff"), "format", *config, *([] if fix else ["--check"]), *LINTED],
        [tool("ruff"), "check", *config, *(["--fix"] if fix else []), *LINTED],
    ]
    codes = [call(step, cwd=ROOT) for step in steps]
    codes.append(call([tool("lint-imports")], cwd=BACKEND))
    codes.append(call([tool("deptry"), "."], cwd=BACKEND))
    if os.name != "nt":
        codes.append(call([tool("hadolint"), "Dockerfile"], cwd=ROOT))
    codes.append(call([PYTHON, "scripts/reference.py", *([] if fix else ["--check"])], cwd=BACKEND))
    for line in addresses():
        print("A lock must name no host: " + line, file=sys.stderr)
        codes.append(1)
    return max(codes)


def types(rest: list[str]) -> int:
    """types: mypy, strict"""
    set_up()
    return call([tool("mypy"), *rest], cwd=BACKEND)


def lock(rest: list[str]) -> int:
    """lock [--upgrade]: write the requirement files anew from pyproject.toml, with hashes and no address"""
    set_up()
    common = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--quiet"]
    common += ["--no-emit-find-links", "--custom-compile-command", "python dev.py lock", *rest, "pyproject.toml"]
    compile_ = [tool("uv"), "pip", "compile"]
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
    node = [*compile_, "--group", "pyproject.toml:node", *common[:-1], "-o", "requirements-node.txt"]
    return call(lean, cwd=BACKEND) or call(full, cwd=BACKEND) or call(node, cwd=BACKEND)


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
        "tests": [*mine, "test"],  # before the pages are built: a newcomer has none either
        "pages": [*mine, "pages", "--check"],
        "e2e": [*mine, "e2e"],
        "attacks": [*mine, "test", "--attacks"],
        "postgres": [*mine, "_postgres"],
    }
    for name, command in steps.items():
        print("== " + name, flush=True)
        began = time.monotonic()
        try:
            code = call(command, cwd=ROOT)
        except SystemExit:
            raise Failed("ci: stopped during " + name) from None
        if code:
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
    root = subprocess.run(["id", "-u"], capture_output=True, text=True, check=False).stdout.strip() == "0"
    # `env`, because sudo does not hand its own environment on.
    apt = [*(["sudo"] if not root and shutil.which("sudo") else []), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    return call([*apt, "update", "-qq"]) or call([*apt, "install", "-qq", "-y", "--no-install-recommends", *missing])


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
    "pages": pages,
    "e2e": e2e,
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


def build_pages() -> None:
    """Build the pages and the client, unless what is built is of these very sources. Raises Failed."""
    sources = [path for folder in PAGE_SOURCES for path in sorted(folder.rglob("*")) if path.is_file()]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in (*sources, *NPM_LOCKS))).hexdigest()
    built = PAGES.exists() and (CLIENT / "dist" / "index.js").exists()
    if built and PAGES_STAMP.exists() and PAGES_STAMP.read_text(encoding="utf-8") == digest:
        return
    print("Building the pages (once, about half a minute) ...", flush=True)
    for step in (["ci", "--silent"], ["run", "-s", "client"], ["run", "-s", "build"]):
        if npm(*step):
            raise Failed("The pages could not be built: see the lines above.")
    PAGES_STAMP.write_text(digest, encoding="utf-8")


def npm(*words: str) -> int:
    """Run npm in the folder of the pages: the one on PATH beside a Node that is new enough, else one from PyPI."""
    found, node = shutil.which("npm"), shutil.which("node")
    if not (found and node and node_version(node) >= LEAST_NODE):
        found = str(tool("npm"))
        if not Path(found).exists():
            pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
            if call([*pip, "-r", BACKEND / "requirements-node.txt"]):
                raise Failed("Node could not be brought from PyPI.")
        os.environ["PATH"] = str(SCRIPTS) + os.pathsep + os.environ["PATH"]
    return call([found, *words], cwd=FRONTEND)


def node_version(node: str) -> tuple[int, ...]:
    """Return the version of a Node, (0,) when it does not say."""
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    parts = said.removeprefix("v").split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else (0,)


def set_up() -> None:
    """Make .venv and install the lock, unless that is done; of two starts at once one does it, the other waits."""
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in (*LOCKS, BACKEND / "pyproject.toml"))).hexdigest()
    if is_set_up(wanted):
        return
    with SetUpLock():
        if is_set_up(wanted):
            return
        print("Setting up .venv (once, about a minute) ...", flush=True)
        if not made_here():
            make_venv()
        pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        steps = (
            [*pip, "--require-hashes", "-r", LOCKS[1]],
            [*pip, "--no-deps", "--no-build-isolation", "-e", BACKEND],
        )
        for step in steps:
            if call(step):
                raise Failed("The set-up failed: see the lines above. Start again when it is mended.")
        # Written last: an interrupted set-up begins anew.
        STAMP.write_text(identity() + "\n" + wanted, encoding="utf-8")


def is_set_up(wanted: str) -> bool:
    """Return whether .venv holds what the locks of this moment name."""
    return made_here() and stamp()[-1] == wanted


def made_here() -> bool:
    """Return whether .venv was finished in this folder by this Python: a copied one would run the other's code."""
    return PYTHON.exists() and stamp()[0] == identity()


def stamp() -> list[str]:
    """Return the stamp's lines: whose .venv it is, and the digest of what it holds."""
    return STAMP.read_text(encoding="utf-8").split("\n") if STAMP.exists() else [""]


def identity() -> str:
    """Return what a .venv can't outlive: the folder and the Python it was made for."""
    return "{} {}.{}".format(ROOT, *sys.version_info[:2])


def make_venv() -> None:
    """Make an empty .venv."""
    # Not sys.executable: that may be the very .venv which is about to be emptied.
    python = getattr(sys, "_base_executable", sys.executable)
    if call([python, "-m", "venv", "--clear", VENV]):
        raise Failed("Python could not make .venv. On Debian: apt-get install python3-venv")


class SetUpLock:
    """A file that only one process can make; one left behind by a crash is taken over after ten minutes."""

    def __enter__(self) -> None:
        """Wait for the lock and take it."""
        while True:
            try:
                os.close(os.open(LOCK, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                return
            except (FileExistsError, PermissionError):  # Windows says the latter while a lock is being removed
                # Its holder may let go between any two of these lines.
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - LOCK.stat().st_mtime > SET_UP_SECONDS:
                        LOCK.unlink()
                if not os.access(ROOT, os.W_OK):
                    raise Failed("This folder can't be written to, and .venv is made in it.") from None
                time.sleep(0.5)

    def __exit__(self, *exception: object) -> None:
        """Let go."""
        LOCK.unlink(missing_ok=True)


def is_installed(package: str) -> bool:
    """Return whether what a Debian package brings is there."""
    if package == "postgresql":
        return any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return shutil.which(package) is not None


def addresses() -> list[str]:
    """Return the lines of the locks that name a host."""
    named = {path: ADDRESSES for path in (*LOCKS, BACKEND / "requirements-node.txt")}
    # The locks of npm hold the pages of those who ask for funds; where packages come from is another member.
    named |= {path: ('"resolved"', "registry.") for path in ROOT.glob("*/**/package-lock.json") if _ours(path)}
    lines = (
        (f"{path.name}: {line}", parts)
        for path, parts in named.items()
        for line in path.read_text("utf-8").splitlines()
    )
    return [line for line, parts in lines if any(part in line for part in parts)]


def _ours(path: Path) -> bool:
    return "node_modules" not in path.parts and ".venv" not in path.parts


def tool(name: str) -> Path:
    """Return the program `name` of .venv."""
    return SCRIPTS / (name + EXE)


def call(command: Sequence[object], cwd: Path | None = None) -> int:
    """Run a program to its end and return its exit code: positive, also where a signal ended it.

    Whoever ends this program ends the child, which finishes in its own time: no server is left behind. A terminal
    tells the child of Ctrl-C itself; a supervisor tells only us.
    """

    def pass_on(number: int, _: object) -> None:
        told.append(number)
        if number == signal.SIGTERM or not (sys.stdin and sys.stdin.isatty()):
            child.terminate()

    told: list[int] = []
    child = subprocess.Popen([str(part) for part in command], cwd=cwd, env=dict(os.environ, PYTHONUTF8="1"))
    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    code = code if code >= 0 else 128 - code
    if told:
        sys.exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
