"""What the demo says while it works: on stderr, so that stdout holds the answers only."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.text import Text

QUIET_SECONDS = 5.0


class Narrator:
    """Lines that stay, and one that changes: in place on a terminal, every 5 s elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self._began = time.monotonic()
        self._last = 0.0

    def say(self, text: str, style: str = "") -> None:
        """A line that stays, with the seconds since the demo began."""
        at = Text(f"{time.monotonic() - self._began:5.1f} s  ", style="dim")
        self._console.print(at + Text(text, style=style))

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that ``text`` is being done."""
        self.say(text)
        if not self._console.is_terminal:
            yield
            return
        with self._console.status("") as self._status:
            yield
        self._status = None

    def update(self, text: str) -> None:
        """How far it is."""
        if self._status is not None:
            self._status.update(Text(text))
        elif (now := time.monotonic()) - self._last >= QUIET_SECONDS:
            self._last = now
            self.say(f"  {text}")
