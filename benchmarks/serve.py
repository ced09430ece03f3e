"""Serve the bare hello as `yaoshi serve` serves: granian, one worker, the same threads. Port and threads given."""

import sys
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces

sys.path.insert(0, str(Path(__file__).parent / "peers"))

if __name__ == "__main__":
    Granian(
        "hello:create_app",
        factory=True,
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=int(sys.argv[2]),
        http=HTTPModes.http1,
        websockets=False,
        log_level="error",
        working_dir=Path(__file__).parent / "peers",
    ).serve()
