"""Content under names that nobody has listed goes, and counts, ids and states stay."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest.decode import Signal, decode
from ingest.privacy.names import Sort, sorts_of
from ingest.privacy.rows import Screen
from ingest.privacy.table import CONTENT_DROPPED
from ingest.privacy.words import Look
from ingest.segment_rows import ROWS_OF
from lake.mapping_file import SHIPPED
from tests.ingest.batches import whole
from tests.ingest.content import CANARY
from tests.ingest.one_row import line, span
from tests.ingest.test_privacy import TABLE_OF
from tests.ingest.test_rows import FIXTURES
from tests.ingest.values import RECEIVED

SAID = f"the answer is {CANARY}, of course"
AGENTIC = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


def screened(row_of: Any, *given: Any, **named: Any) -> dict[str, Any]:
    """A row of `one_row` as it is stored."""
    row = row_of(*given, **named)
    table = "spans" if "span_id" in row and "events" in row else "logs"
    rows = whole([], table).from_pylist([row], schema=whole([], table).schema)
    [after] = Screen().screened(rows).to_pylist()
    return dict(after)


def kept_of(attributes: dict[str, Any], scope: str = "acme") -> dict[str, Any]:
    return dict(screened(span, scope, attributes)["attributes"])


@pytest.mark.parametrize(
    "name",
    [
        "acme.llm.reply_text", "genai.outputMessages", "gen_ai.future.chat_messages",
        "ai.next.prompt",
        "gen_ai.input.chat.3.content", "crewai.task.agent.instructions", "dspy.lm.completion_raw",
        "openai.response.output", "haystack.agent.inputs", "bedrock.model.payload.json",
        "tool.params", "agent.response", "mcp.new.tool.arguments", "llm_output", "chain.query",
        "mlflow.chat.transcript.0", "genai.prompt.v2.0.text", "strands.agent.lastMessage",
    ],
)  # fmt: skip
def test_a_name_of_agent_telemetry_that_ends_like_content(name: str) -> None:
    """On any span: the namespace says that it is of an agent."""
    assert name not in kept_of({name: SAID})
    assert name not in kept_of({name: [{"x": SAID}]})
    assert kept_of({name: 131, f"{name}_tokens": 7}) == {name: "131", f"{name}_tokens": "7"}


@pytest.mark.parametrize("name", ["final_answer", "acme.userText", "my.app.result", "docs.query"])
def test_on_a_span_of_agent_work_no_namespace_is_asked_for(name: str) -> None:
    """On a span that is none the same name may be anything."""
    assert name not in kept_of({name: SAID} | AGENTIC)
    assert kept_of({name: SAID})[name] == SAID


HARMLESS = {
    "agent.result": "success", "llm.response": "resp_0123",
    "gen_ai.output.type": "json", "agent.input_count": "3", "llm.request.type": "chat",
    "db.query.text": "SELECT * FROM orders WHERE id = 3", "http.proxy.answer.body": "<html> of it",
    "gen_ai.tool.description": "Get weather for a city.", "error.message": "no such city: it",
    "agent.error_message": "the tool said no", "llm.token_count.prompt": "12",
    "gen_ai.response.finish_reasons": '["stop"]', "message": "again in 2 s",
    "langfuse.observation.usage_details": '{"input": 120, "output": 30}',
    "langfuse.observation.metadata.tool_choice": '"auto"', "url.full": "https://x/y?prompt=1",
    "gen_ai.agent.description": "Answers questions about the weather", "input.mime_type": "a/b",
    "agent.duration": "1 s", "exception.type": "a b",
    "llm.usage": "{'prompt': 7, 'completion': 3}", "gen_ai.usage.raw": '{"prompt_tokens":7}',
    "rbac": '{"role":"admin","text":"all of it"}', "schema": '{"type":"object","properties":{}}',
}  # fmt: skip


def test_counts_states_and_descriptions_stay() -> None:
    """As they were sent, on a span of agent work and on others."""
    assert kept_of(HARMLESS | AGENTIC) == HARMLESS | AGENTIC
    assert kept_of(HARMLESS) == HARMLESS


MESSAGES: dict[str, Any] = {
    "OpenAI": [{"role": "user", "content": SAID}],
    "Gemini": {"contents": [{"role": "user", "parts": [{"text": SAID}]}]},
    "OpenTelemetry": [{"role": "user", "parts": [{"type": "text", "content": SAID}]}],
    "Anthropic": [{"type": "text", "text": SAID}, {"type": "thinking", "thinking": SAID}],
    "LangChain": {"tool_calls": [{"name": "search", "args": {"q": SAID}, "id": "c"}]},
    "a call": {"type": "function_call", "name": "f", "arguments": json.dumps({"q": SAID})},
    "a part under its own name": {"role": "assistant", "utterance": SAID},
    "deep": {"a": [{"b": {"c": json.dumps([{"role": "ai", "said": SAID}])}}]},
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
@pytest.mark.parametrize("form", [json.dumps, str, lambda m: m, lambda m: f"got {m!r} back"])
def test_messages_are_content_under_any_name(message: Any, form: Any) -> None:
    """As JSON, as Python prints it, as a map or list of OTLP, in the middle of a text."""
    assert CANARY not in str(kept_of({"x.y": form(message)}))
    assert CANARY not in str(screened(line, "acme", {"x": form(message)}, body=form(message)))


def test_objects_as_frameworks_print_them() -> None:
    """LangChain's messages in a text."""
    assert CANARY not in str(kept_of({"x": f"[HumanMessage(content='{SAID}', id='1')]"}))
    assert CANARY not in str(kept_of({"x": f"state: AIMessage(content='{SAID}')"}))


def test_what_is_no_content_of_a_message_stays() -> None:
    """Role, kind, name, id and numbers."""
    told = {"role": "assistant", "index": 0, "n": 1.5, "id": "m", "said": SAID}
    assert json.loads(kept_of({"x": json.dumps(told)})["x"]) == {
        "role": "assistant", "index": 0, "n": 1.5, "id": "m",
    }  # fmt: skip


EVENTS = ["gen_ai.choice", "gen_ai.user.message", "gen_ai.some.new_event", "llm.prompt",
          "langchain.chat.message", "genai.content", "agent.final_answer"]  # fmt: skip


@pytest.mark.parametrize("event", EVENTS)
def test_events_that_say_what_was_said(event: str) -> None:
    """Bodies of any form and the attribute `message`, on log records and on events of spans."""
    bodies: tuple[Any, ...] = (SAID, {"text": SAID}, [SAID], json.dumps({"note": SAID}))
    for body in bodies:
        row = screened(line, "acme", {"message": SAID}, body=body, event=event)
        assert CANARY not in str(row)
        assert row["body"] == CONTENT_DROPPED
    named = screened(line, "acme", {"event.name": event, "message": {"x": SAID}}, body=SAID)
    assert CANARY not in str(named)
    row = screened(span, "acme", AGENTIC, events=[(event, {"message": SAID, "index": 0})])
    assert [dict(each["attributes"]) for each in row["events"]] == [{"index": "0"}]


def test_events_that_say_nothing() -> None:
    """A body that is the event's name, and what log lines of agents say."""
    assert screened(line, "acme", {}, body="agent.run", event="agent.run")["body"] == "agent.run"
    row = screened(line, "acme", {"message": "again in 2 s"}, body="once more", event="agent.retry")
    assert (row["body"], dict(row["attributes"])["message"]) == ("once more", "again in 2 s")


QUOTING = {
    "pydantic": "1 validation error for City\nname\n  Input should be a valid string "
                f"[type=string_type, input_value='{SAID}', input_type=str]",
    "LangChain": f"Could not parse LLM output: `{SAID}`",
    "an answer of JSON": f"Failed to parse City from completion {SAID}. Got: 1",
    "OpenAI Agents": f"Invalid JSON when parsing {SAID} for TypeAdapter(City)",
    "jsonschema": f"1 is not of type 'string'\n\nOn instance['name']:\n    '{SAID}'",
    "DSPy": "Adapter ChatAdapter failed to parse the LM response. \n\n"
            f"LM Response: {SAID} \n\nExpected to find output fields: [answer]",
    "smolagents": f"Error executing tool 'find' with arguments {{'q': '{SAID}'}}: HTTPError: 500",
    "Haystack": f"Failed to invoke Tool `find` with parameters {{'q': '{SAID}'}}. Error: boom",
    "Vercel, of an object": f'Type validation failed: Value: {{"q":"{SAID}"}}.\nError message: []',
    "Vercel, of a text": f"JSON parsing failed: Text: {SAID}.\nError message: Unexpected token",
    "Vercel, of a tool": f"Invalid input for tool find: JSON parsing failed: Text: {SAID}.\nError",
    "Groq": "Error code: 400 - {'error': {'message': 'Failed to call a function.', "
            f"'failed_generation': '<function=find>{SAID}</function>'}}}}",
    "LangGraph": f"Error invoking tool 'find' with kwargs {{'q': {{'x': \"{SAID}\"}}}} with error:"
                 "\n boom\n Please fix the error and try again.",
    "OpenAI Agents, of a tool": f"Invalid JSON input for tool find: {SAID}",
    "an interrupt": f"(Interrupt(value='{SAID}', id='1f'),)",
    "an interrupt with an object": f"(Interrupt(value=Ask(text={SAID}), resumable=True),)",
    "JSON within JSON": f'failed: {{\\"output\\": \\"{SAID}\\"}}',
    "a text that was cut": f"Invalid completion '{SAID}",
    "a request": f"400: {{'messages': [{{'role': 'user', 'content': '{SAID}'}}]}}",
}  # fmt: skip


@pytest.mark.parametrize("message", QUOTING.values(), ids=QUOTING)
def test_what_exceptions_quote(message: str) -> None:
    """The words of the failure stay; in message, stack trace, status and the derived column."""
    said = {"exception.type": "ValueError", "exception.message": message,
            "exception.stacktrace": f"Traceback:\nValueError: {message}"}  # fmt: skip
    row = screened(span, "acme", AGENTIC, status={"code": 2, "message": message},
                   events=[("exception", said)])  # fmt: skip
    assert CANARY not in str(row)
    for text in (row["error_message"], row["status_message"]):
        assert text.startswith(message[:5])
        assert CONTENT_DROPPED in text
    assert CANARY not in str(screened(line, "acme", said | {"event.name": "e"}, body=message))


@pytest.mark.parametrize(
    "message",
    [
        "Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4o', 'code': 'x'}}",
        "find() got an unexpected keyword argument 'city'",
        "find() missing 2 required positional arguments: 'a' and 'b'",
        "invalid literal for int() with base 10: '1.5'", "KeyError: 'text'",
        "maximum context length is 128000 tokens, however your input has 130000 tokens",
        "Invalid parameter: 'tool_choice' is only allowed when 'tools' are specified",
        "LM response cannot be serialized to a JSON object.", "response 500: upstream timed out",
        "column 'value' does not exist",
        "Error getting response: {'error': 'Error code: 500 - scripted 500'}",
    ],
)  # fmt: skip
def test_what_exceptions_say_of_themselves_stays(message: str) -> None:
    """Names of parameters, of models and of what was missing."""
    row = screened(span, "acme", AGENTIC, status={"code": 2, "message": message})
    assert (row["error_message"], row["status_message"]) == (message, message)


@pytest.mark.parametrize(
    "body",
    [
        '{"event":"saved","value":"abc","values":["a","b"],"error":null}',
        "Saved value 'abc' of input {'file': 'a.csv'}",
        "Value: 5", "text: 'none'",
    ],
)  # fmt: skip
def test_lines_that_speak_of_no_failure_stay(body: str) -> None:
    """Most bodies are about something else, and JSON stays JSON."""
    assert screened(line, "acme", {}, body=body)["body"] == body


def test_long_names_look_like_short_ones() -> None:
    """Those that are not remembered are looked at by the same rule."""
    names = [f"acme.llm.{'x' * 100}.reply_text", "acme.llm.reply_text"]
    assert len({int(sort) & ~Sort.PLAIN for sort in sorts_of(pa.array(names)).tolist()}) == 1


def test_names_of_columns_and_those_somebody_looked_at_are_no_content() -> None:
    """The rule is for names that are in no list."""
    listed = sorted(SHIPPED.known_attributes() | {"gen_ai.agent.description", "llm.top_k"})
    sorts = sorts_of(pa.array(listed))
    assert not (sorts & (Look.CERTAIN | Look.LIKELY)).any()


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.pb")), ids=lambda path: path.stem)
def test_recordings_lose_nothing_else(path: Path) -> None:
    """Of what real libraries sent the rule by shape drops no name that the table leaves."""
    signal: Signal = "logs" if path.stem.startswith("logs") else "traces"
    decoded = decode(signal, [path.read_bytes()], [RECEIVED])
    sent = whole(ROWS_OF[signal](decoded, SHIPPED), TABLE_OF[signal])
    rows = Screen().screened(sent.combine_chunks())
    for before, after in zip(
        sent["attributes"].to_pylist(), rows["attributes"].to_pylist(), strict=True
    ):
        names = [name for name, _ in before]
        content = sorts_of(pa.array(names, pa.string())) & Sort.CONTENT > 0
        left = [name for name, gone in zip(names, content, strict=True) if not gone]
        assert [name for name, _ in after] == left
