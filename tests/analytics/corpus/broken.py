"""Links between spans that are missing, late or wrong."""

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.analytics.corpus.shape import Expected, Happened, Used, shape

CALL = Used(1000, 100)
TWO = Used(2000, 200)


def elsewhere(happened: Happened) -> Span:
    """A parent that is never sent."""
    return Span(trace_id=happened.trace(), span_id=b"elsewher")


@shape
def agent_below_a_missing_parent(happened: Happened) -> Expected:
    """The caller's span lives in another system: the agent is the run."""
    happened.llm(happened.agent(elsewhere(happened)), used=CALL)
    return Expected({None: CALL}, llm_calls=1)


@shape
def server_below_a_missing_parent(happened: Happened) -> Expected:
    """Without an agent span the server's span is the run, wherever its caller reports to."""
    server = happened.span("POST /ask", elsewhere(happened), kind="server", tenant__id="acme")
    happened.llm(server, used=CALL)
    return Expected({"acme": CALL}, llm_calls=1, runs=(("acme", "success"),))


@shape
def call_below_a_missing_parent(happened: Happened) -> Expected:
    """A call whose root did not come in an hour is the run: only the SDK's spans are sent here."""
    happened.llm(elsewhere(happened), used=CALL)
    return Expected({None: CALL}, llm_calls=1, runs=((None, "success"),))


@shape
def a_step_that_failed_below_a_missing_agent(happened: Happened) -> Expected:
    """smolagents that broke off: the agent's span is never sent, its step failed with the call."""
    step = happened.span("Step 1", elsewhere(happened), openinference__span__kind="CHAIN",
                         status="error")  # fmt: skip
    happened.llm(step, status="error", error__type="InternalServerError", took=90)
    return Expected({}, llm_calls=1, runs=((None, "error"),))


@shape
def call_whose_parent_was_lost(happened: Happened) -> Expected:
    """It is below the root, whatever lay between: the root's sum is not added."""
    agent = happened.agent(used=CALL, tenant__id="acme")
    happened.llm(agent, used=CALL).parent_span_id = b"elsewher"
    return Expected({"acme": CALL}, llm_calls=1, runs=(("acme", "success"),))


@shape
def late_parent(happened: Happened) -> Expected:
    """Parents end last and arrive in a later batch: the sum on them is not added."""
    agent = happened.agent(used=TWO, tenant__id="acme", late=True)
    node = happened.span("plan", agent, graph__node__name="plan", used=TWO, late=True)
    happened.llm(node, used=CALL)
    happened.llm(node, used=CALL, at=50)
    return Expected({"acme": TWO}, llm_calls=2, runs=(("acme", "success"),))


@shape
def parents_in_a_circle(happened: Happened) -> Expected:
    """Model spans that are each other's parent say nothing of wrapping: both are calls."""
    first = happened.llm(used=CALL)
    second = happened.llm(first, used=CALL)
    first.parent_span_id = second.span_id
    return Expected({None: TWO}, llm_calls=2, runs=(), outside_runs=2000)


@shape
def sums_in_a_circle(happened: Happened) -> Expected:
    """Of sums that are each other's parent one counts: the other may repeat it."""
    model = {"gen_ai.request.model": "gpt-4o", "gen_ai.system": "openai"}
    first = happened.agent(used=CALL, **model)
    second = happened.agent(first, used=CALL, at=1, **model)
    first.parent_span_id = second.span_id
    return Expected({None: CALL}, llm_calls=0, runs=((None, "success"),) * 2)


@shape
def its_own_parent(happened: Happened) -> Expected:
    """A span that names itself as its parent is a root."""
    agent = happened.agent(used=CALL)
    agent.parent_span_id = agent.span_id
    happened.llm(agent, used=CALL)
    return Expected({None: CALL}, llm_calls=1)


@shape
def span_ids_repeat_across_traces(happened: Happened) -> Expected:
    """Span ids name a span within its trace only."""
    for _ in range(2):
        agent = happened.agent()
        agent.span_id = b"sameroot"
        happened.llm(agent, used=CALL).span_id = b"samecall"
    return Expected({None: TWO}, llm_calls=2, runs=((None, "success"),) * 2)
