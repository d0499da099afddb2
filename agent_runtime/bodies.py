"""What may be asked of an agent over HTTP, and how it must be said."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError


def whole(text: object) -> object:
    """Text as it is kept: half of a surrogate pair, which no encoding has, is a ``?``."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


def not_blank(text: str) -> str:
    """What says something: to nothing no model has an answer, and some vendors refuse it."""
    if not text.strip():
        raise PydanticCustomError("blank", "it is blank; say what the agent is to answer")
    return text


class RunRequest(BaseModel):
    """Body of a run."""

    model_config = ConfigDict(extra="forbid")
    input: Annotated[str, BeforeValidator(whole), AfterValidator(not_blank)]


class ResumeRequest(BaseModel):
    """Body of going on: with the answer to the question of that id, if something was asked."""

    model_config = ConfigDict(extra="forbid")
    value: Any = None
    question: str | None = None
