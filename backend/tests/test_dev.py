"""The tools around the house: one command per job anywhere, locks that name no host, an image and a unit that hold."""

import ast
import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

BACKEND = Path(__file__).resolve().parent.parent
ROOT = BACKEND.parent
DEV = ROOT / "dev.py"
LOCKS = [BACKEND / "requirements.txt", BACKEND / "requirements-dev.txt"]
JOBS = [
    "run",
    "test",
    "timing",
    "pages",
    "e2e",
    "lint",
    "types",
    "lock",
    "bench",
    "ci",
    "clean",
    "system-packages",
    "help",
]

POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios"}
POSIX_CALLS = re.compile(
    r"os\.(fork\w*|exec\w+|spawn\w+|posix_spawn\w*|kill\w*|get\w*[ug]id|set\w*id|ch(mod|own|root)|uname|system|popen)"
    r"|signal\.(SIG(?!INT$|TERM$)[A-Z]+|alarm|pause|setitimer)"
)
POSIX_KEYWORDS = {"shell", "preexec_fn", "start_new_session", "process_group"}


def nodes() -> list[ast.AST]:
    return list(ast.walk(ast.parse(DEV.read_text(encoding="utf-8"))))


def dev(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEV), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def requirements(lock: Path) -> list[str]:
    """Return the lock's requirements, each with its hashes on one line."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def names(lines: list[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", line)[0]).lower() for line in lines}


def test_dev_calls_nothing_that_windows_lacks() -> None:
    dotted = [ast.unparse(node) for node in nodes() if isinstance(node, ast.Attribute)]
    assert [name for name in dotted if POSIX_CALLS.fullmatch(name)] == []
    assert [node.arg for node in nodes() if isinstance(node, ast.keyword) and node.arg in POSIX_KEYWORDS] == []
    # What is imported by name would hide from the check above.
    assert {"os", "signal", "subprocess"}.isdisjoint(
        node.module for node in nodes() if isinstance(node, ast.ImportFrom)
    )


def test_the_check_above_sees_what_it_forbids() -> None:
    for name in ("os.fork", "os.execv", "os.kill", "os.getuid", "os.chmod", "os.system", "signal.SIGKILL"):
        assert POSIX_CALLS.fullmatch(name), name
    for name in ("os.environ", "os.open", "os.close", "signal.SIGTERM", "signal.SIGINT", "signal.signal"):
        assert not POSIX_CALLS.fullmatch(name), name


def test_dev_imports_the_standard_library_only() -> None:
    found = [alias.name for node in nodes() if isinstance(node, ast.Import) for alias in node.names]
    found += [node.module or "" for node in nodes() if isinstance(node, ast.ImportFrom)]
    roots = {name.split(".")[0] for name in found}
    assert roots <= sys.stdlib_module_names - POSIX_MODULES


def test_an_older_python_can_read_dev_far_enough_to_be_told() -> None:
    ast.parse(DEV.read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("arguments", [(), ("help",)])
def test_help_names_every_job(arguments: tuple[str, ...], tmp_path: Path) -> None:
    answer = dev(*arguments, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert [line.split()[0] for line in answer.stdout.splitlines() if line.startswith("  ")] == JOBS


def test_an_unknown_job_is_named_and_refused(tmp_path: Path) -> None:
    answer = dev("tset", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "tset" in answer.stderr and "Traceback" not in answer.stderr


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_host_and_hashes_everything(lock: Path) -> None:
    assert re.findall(r".*(?:://|--index-url|--find-links).*", lock.read_text(encoding="utf-8")) == []
    found = requirements(lock)
    assert len(found) > 30
    assert [line for line in found if "==" not in line or not re.search(r"--hash=sha256:[0-9a-f]{64}\b", line)] == []


def test_the_locks_hold_every_dependency_and_agree() -> None:
    project = tomllib.loads((BACKEND / "pyproject.toml").read_text(encoding="utf-8"))
    served = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["postgres"]]
    lean, full = map(requirements, LOCKS)
    assert names(served) <= names(lean)
    assert names([*served, *project["dependency-groups"]["dev"]]) <= names(full)
    assert {line.split()[0] for line in lean} <= {line.split()[0] for line in full}


def test_the_image_is_linted_and_drops_root() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    assert hadolint.exists() or sys.platform != "linux"
    if hadolint.exists():
        answer = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
        assert (answer.returncode, answer.stdout) == (0, "")
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    images = [line.split()[1] for line in lines if line.startswith("FROM ")]
    *builders, final = images
    assert re.fullmatch(r"python:3\.\d+[\w.]*-slim-\w+", final)
    assert all(re.fullmatch(r"node:\d+-\w+-slim", image) for image in builders)
    assert re.fullmatch(r"USER [1-9]\d*(:[1-9]\d*)?", [line for line in lines if line.startswith("USER ")][-1])
    assert any("--require-hashes" in line for line in lines)
    assert any(line.startswith("HEALTHCHECK ") for line in lines)


def test_the_unit_is_hardened() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.read(ROOT / "deploy" / "yaoshi.service", encoding="utf-8")
    service = unit["Service"]
    assert service["ExecStartPre"].endswith("yaoshi db upgrade")
    assert service["User"] == service["StateDirectory"] == "yaoshi"
    expected = {"UMask": "0077", "KillSignal": "SIGTERM", "ProtectSystem": "strict", "CapabilityBoundingSet": ""}
    expected |= {"EnvironmentFile": "/etc/yaoshi/env", "StateDirectoryMode": "0700"}
    expected |= dict.fromkeys(["NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictSUIDSGID"], "yes")
    assert {name: service[name] for name in expected} == expected


def test_ci_is_one_script_that_hands_over_to_dev() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert (lines[1], lines[-1]) == ("set -euo pipefail", "exec python3 dev.py ci")
