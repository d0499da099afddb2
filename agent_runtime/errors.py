"""What can go wrong in a run, and how it is described in telemetry without giving away secrets."""

import re
import traceback
from collections.abc import Iterator

from pydantic_core import ValidationError

from agent_runtime.masking import mask_secrets, masked_beginning

MESSAGE_CHARACTERS = 500
_REFUSED_VALUE = re.compile(r"(\[type=[^\s,\[\]]+, )input_value=.*")
"""As pydantic tells it, in a line: what somebody has said, perhaps."""


class AgentRuntimeError(Exception):
    """Everything this package raises on purpose."""


class GraphError(AgentRuntimeError):
    """The graph cannot run as it was put together; the message names the node."""


class RecursionLimitReached(AgentRuntimeError):  # noqa: N818 - a limit, not a bug
    """The graph had not reached its end after as many nodes as allowed."""


class PromptTooLong(AgentRuntimeError):  # noqa: N818 - a limit, not a bug
    """What a prompt must hold exceeds the model's ``context_tokens``."""


class Refused(AgentRuntimeError):  # noqa: N818 - it names what happened
    """A run was not begun."""

    status = 409
    """What HTTP calls it."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Draining(Refused):
    """The runtime is shutting down and takes no new runs."""

    status = 503


class ThreadBusy(Refused):
    """Another run, perhaps of another process, has the thread."""


class ThreadNotFound(Refused):
    """The tenant has no such thread."""

    status = 404


class NothingToResume(Refused):
    """The thread's turn is done, or waits for no answer."""


class NotAsked(Refused):
    """An answer names no question, or one that the thread does not wait with, or no longer."""


class WritePending(Refused):
    """The turn before stopped at a write of which the agent has not heard yet how it ended."""


class StoreError(AgentRuntimeError):
    """What must be kept could not be written, or what was kept not be read."""


class NotDone(AgentRuntimeError):  # noqa: N818 - a fact, not a bug
    """Raised by a write that did nothing, or on asking what became of one that did nothing.

    It must be final: what upstream may still do is not "not done", but unknown.
    """


class NotBegun(AgentRuntimeError):  # noqa: N818 - a fact, not a bug
    """A write was claimed and given back, and nothing sent: its run had ended, or its time."""


class CallCut(AgentRuntimeError):  # noqa: N818 - it names what happened
    """A tool was asked for in an answer that was cut before its arguments were whole."""


class WriteConflict(AgentRuntimeError):  # noqa: N818 - it names what happened
    """A write was asked for that was asked for before, with other arguments."""


class WriteInDoubt(AgentRuntimeError):  # noqa: N818 - it names what happened
    """Nobody knows whether a write was done; only a human can find out."""


class LeaseLost(StoreError):  # noqa: N818 - it names what happened
    """Another run has the thread, because nothing was heard of this one for too long."""


class StateNotStorable(AgentRuntimeError):  # noqa: N818 - it names what happened
    """A node left a value that cannot be kept."""


class TenantBusy(Refused):
    """The tenant has as many runs in flight as allowed."""

    status = 429


class BudgetExceeded(AgentRuntimeError):  # noqa: N818 - a limit, not a bug
    """The run has used up its budget of tokens or money."""


class RunTimeout(AgentRuntimeError):  # noqa: N818 - a limit, not a bug
    """The run took longer than ``run_timeout_s``."""


class ProviderError(AgentRuntimeError):
    """A call of a model failed."""

    retryable = True
    """Whether the same call may succeed when it is made again."""

    fallback_helps = True
    """Whether another model may succeed where this one did not."""

    retry_after_s: float | None = None
    """How long the provider asked to wait."""

    def __init__(self, message: str) -> None:
        super().__init__(mask_secrets(message))


class ProviderRefused(ProviderError):  # noqa: N818 - it names what happened
    """The provider answered with a status other than 200."""

    def __init__(
        self, message: str, *, status: int, code: str | None, retry_after_s: float | None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        # An empty purse answers 429 too, and waiting does not fill it.
        self.retryable = (
            status in {408, 409, 429} or status >= 500
        ) and code != "insufficient_quota"
        # What is wrong with the request or the key is for people to mend: a model that answers
        # instead would hide it.
        self.fallback_helps = status not in {400, 401, 403, 404, 413, 422}


class ProviderUnreachable(ProviderError):  # noqa: N818 - it names what happened
    """The connection failed before the provider answered."""


class StreamBroken(ProviderError):  # noqa: N818 - it names what happened
    """The provider's stream ended without a finish reason, or cannot be understood."""


class AnswerPaused(ProviderError):  # noqa: N818 - it names what happened
    """The provider stopped in the middle of an answer, to be gone on with, which is not done."""

    retryable = False
    fallback_helps = False


class ProviderTimeout(ProviderError):  # noqa: N818 - it names what happened
    """The provider was too slow."""


class FirstTokenTimeout(ProviderTimeout):
    """No token came within ``first_token_timeout_s``."""


class IdleTimeout(ProviderTimeout):
    """No further token came within ``idle_timeout_s``."""

    retryable = False


def error_text(error: object, otherwise: str | None = None) -> str:
    """What a provider says of an error, wherever it says it: without what was sent, which FastAPI
    quotes beside it. When it is nowhere, all of it, or ``otherwise``."""
    match error:
        case (
            {"error": dict(told)}
            | {"message": str(told) | dict(told)}
            | {"detail": str(told) | list(told)}
            | {"error": str(told)}
        ):
            return error_text(told)
        case {"loc": [*place], "msg": str(told)}:
            return f"{'.'.join(map(str, place))}: {told}"
        case {"msg": str(told)}:
            return told
        case [_, *_]:
            return "; ".join(map(error_text, error))
    return str(error) if otherwise is None else otherwise


def failure_in(error: BaseException) -> BaseException:
    """What failed, of tasks side by side: the first error that this package raises, or the first.

    The group that a TaskGroup raises says no more than that there were some.
    """
    failures = tuple(_failures(error))
    return next((each for each in failures if isinstance(each, AgentRuntimeError)), failures[0])


def _failures(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _failures(each)
    else:
        yield error


def error_cause(error: BaseException) -> str | None:
    """The class of what an error was raised ``from``."""
    cause = failure_in(error).__cause__
    return None if cause is None else error_class(cause)


def error_class(error: BaseException) -> str:
    """The qualified name of the error's class, as OpenTelemetry's ``exception.type``."""
    kind = type(failure_in(error))
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def error_message(error: BaseException) -> str:
    """The error's message: secrets masked, at most 500 characters, without values that pydantic
    refused, which somebody has said."""
    try:
        message = _said(failure_in(error))
    except Exception as broken:  # noqa: BLE001 - whoever tells of an error must not fail at it
        message = f"it cannot be said: its __str__ raised {type(broken).__qualname__}"
    return masked_beginning(message, MESSAGE_CHARACTERS)[:MESSAGE_CHARACTERS]


def error_stack(error: BaseException) -> str:
    """The stack trace, with secrets masked, and without the values that pydantic refused, also of
    the errors that this one comes from or holds."""
    return mask_secrets(_without_values("".join(traceback.format_exception(error))))


def _said(error: BaseException) -> str:
    if not isinstance(error, ValidationError):
        return _without_values(str(error))
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    each = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong)
    return f"{error.title} is not valid: {'; '.join(each)}"


def _without_values(text: str) -> str:
    return _REFUSED_VALUE.sub(r"\1…]", text)
