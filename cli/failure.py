"""How a command gives up: one line for the user and an exit code."""


class Failure(Exception):  # noqa: N818 - a verdict for the user, not a bug
    """What went wrong, in one line that names the thing, the value and the remedy."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ReaderGone(Exception):  # noqa: N818 - nothing went wrong
    """Who reads stdout, such as ``head``, has enough and closed it."""
