"""Takes content and secrets out of log lines, as `otel-collector.yaml` does on its way in.

The names and patterns are those of its processors `transform/drop_content` (log statements) and
`redaction`; a test holds the two together.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_NAMES_WITHOUT_PREFIX = (
    r"^(prompt|completion|messages|content|input|output|arguments|tool_input|tool_output"
    r"|tool_parameters|gen_ai\.(input|output)\.messages|gen_ai\.system_instructions)$"
)
_OPENTELEMETRY = (
    r"^(gen_ai\.(prompt|completion)(\..*)?|gen_ai\.(input|output)\.messages"
    r"|gen_ai\.system_instructions|gen_ai\.tool\.(definitions|call\.arguments|call\.result)"
    r"|gen_ai\.prompt\.variable\..*|gen_ai\.task\.(input|output)"
    r"|gen_ai\.retrieval\.(documents|query\.text)|traceloop\.entity\.(input|output))$"
)
_OPENINFERENCE = (
    r"^(input\.value|output\.value|llm\.(input_messages|output_messages|prompts|choices|tools"
    r"|prompt_template|function_call|invocation_parameters).*"
    r"|(retrieval|reranker)\..*(document|documents|query).*|tool\.parameters"
    r"|embedding\.(embeddings|text|invocation_parameters).*)$"
)
DROPPED_KEYS = (_NAMES_WITHOUT_PREFIX, _OPENTELEMETRY, _OPENINFERENCE)
MASKED_VALUES = (
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"sk-[A-Za-z0-9_-]{20,}",
    r"\b(?:\d[ -]?){13,16}\b",
)
UNMASKED_KEYS = (r"(?i).*(_|\.)id$", r".*tokens?$")
MASK = "****"


def _compiled(patterns: Iterable[str]) -> list[re.Pattern[str]]:
    """Go's expressions: ASCII classes, and `$` is the end of the text, never before a newline."""
    return [re.compile(re.sub(r"\$$", r"\\Z", each), re.ASCII) for each in patterns]


_DROPPED, _MASKED, _UNMASKED = map(_compiled, (DROPPED_KEYS, MASKED_VALUES, UNMASKED_KEYS))


def redacted(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """`attributes` without content, and secrets masked in texts unless the key is of an id."""
    return {
        key: masked(value) if isinstance(value, str) and not _unmasked(key) else value
        for key, value in attributes.items()
        if not any(pattern.search(key) for pattern in _DROPPED)
    }


def redacted_body(value: Any) -> Any:
    """A body with secrets masked at every depth of it; numbers that look like one, too."""
    match value:
        case str():
            return masked(value)
        case dict():
            return {k: v if _unmasked(k) else redacted_body(v) for k, v in value.items()}
        case list():
            return [redacted_body(each) for each in value]
        case int() if not isinstance(value, bool):
            text = masked(str(value))
            return value if text == str(value) else text
    return value


def masked(text: str) -> str:
    """`text` with e-mail addresses, API keys and card numbers masked."""
    for pattern in _MASKED:
        text = pattern.sub(MASK, text)
    return text


def _unmasked(key: str) -> bool:
    return any(pattern.search(key) for pattern in _UNMASKED)
