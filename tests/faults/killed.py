"""Runs a piece of code as a process of its own, and kills it when its time has come."""

import subprocess
import sys
import time

BEGIN = """
print("ready", flush=True)
sys.stdin.readline()
"""


def live(preparation: str, work: str, argument: str, seconds: float | None) -> float:
    """Do `work` on `argument` for so many seconds, or to its end; returns how long it lived.

    The time of `preparation` does not count. Without `seconds` it must end by itself, and well.
    """
    with subprocess.Popen(
        [sys.executable, "-c", "import sys\n" + preparation + BEGIN + work, argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        started = time.monotonic()
        process.stdin.write("go\n")
        process.stdin.flush()
        if seconds is None:
            assert process.wait(120) == 0
        else:
            time.sleep(seconds)
            process.kill()
        return time.monotonic() - started
