"""What dev.py does with the programs it starts, and with a second start of itself."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
POSIX_SIGNALS = [] if os.name == "nt" else [signal.SIGTERM, signal.SIGINT]

CHILD = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("ended", flush=True), sys.exit(0)))
print("ready", flush=True)
time.sleep(30)
"""
PARENT = (
    "import sys; sys.path.insert(0, sys.argv[1]); import dev; sys.exit(dev.call([sys.executable, '-c', sys.argv[2]]))"
)


@pytest.fixture
def dev(tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev_under_test", ROOT / "dev.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.LOCK = tmp_path / "lock"
    return module


def test_many_starts_at_once_take_turns(dev: ModuleType) -> None:
    inside: list[int] = []
    seen: list[int] = []
    broken: list[OSError] = []
    dev.time = SimpleNamespace(time=time.time, sleep=lambda _: None)

    def start() -> None:
        for _ in range(100):
            try:
                with dev.SetUpLock():
                    inside.append(1)
                    seen.append(len(inside))
                    inside.pop()
            except OSError as error:
                broken.append(error)

    starts = [threading.Thread(target=start) for _ in range(6)]
    for one in starts:
        one.start()
    for one in starts:
        one.join()
    assert (len(seen), set(seen), broken) == (600, {1}, [])


@pytest.mark.parametrize("number", POSIX_SIGNALS)
def test_a_killed_tool_is_a_failed_tool(dev: ModuleType, number: signal.Signals) -> None:
    code = f"import os, signal; signal.signal({number:d}, signal.SIG_DFL); os.kill(os.getpid(), {number:d})"
    assert dev.call([sys.executable, "-c", code]) == 128 + number


@pytest.mark.parametrize("number", POSIX_SIGNALS)
def test_whoever_ends_dev_ends_what_it_started(number: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(ROOT), CHILD]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "ended\n"
        assert process.wait(10) == 0
