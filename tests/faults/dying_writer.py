"""The writer, dead before its n-th change of a file: `python dying_writer.py DATA N`.

Every creation, renaming and removal that Python makes below DATA counts; before the n-th the
process gets SIGKILL. Exits 0 when it drained the journal with fewer changes.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from ingest import WriterSettings, run_writer

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.truncate"}


def die_before(change: int, data: Path) -> Callable[[str, tuple[object, ...]], None]:
    """An audit hook that counts the changes below `data` and kills this process."""
    left = change

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        is_change = event in _CHANGES or (event == "open" and "w" in str(arguments[1]))
        if is_change and str(arguments[0]).startswith(str(data)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return watch


def main() -> None:
    """Drain the journal once."""
    data = Path(sys.argv[1])
    sys.addaudithook(die_before(int(sys.argv[2]), data))
    stop = threading.Event()
    stop.set()
    run_writer(WriterSettings(data=data), stop)


if __name__ == "__main__":
    main()
