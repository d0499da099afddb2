"""How a run ended."""

from tests.analytics.corpus.shape import Expected, Happened, Used, shape

CALL = Used(1000, 100)
INTERRUPT = "langgraph.errors.GraphInterrupt"
CANCELLED = "asyncio.exceptions.CancelledError"


@shape
def human_interrupt(happened: Happened) -> Expected:
    """A node raises GraphInterrupt, all statuses are OK: the run was interrupted for a human."""
    graph = happened.span("LangGraph", openinference__span__kind="CHAIN", status="ok")
    agent = happened.span("agent", graph, openinference__span__kind="AGENT", status="ok")
    happened.llm(agent, used=CALL)
    happened.span(
        "ask", graph, openinference__span__kind="CHAIN", status="ok", raised=INTERRUPT, at=50
    )
    return Expected(
        {None: CALL}, llm_calls=1, runs=((None, "interrupt"),), run={"outcome_reason": "human"}
    )


@shape
def human_interrupt_that_looks_like_an_error(happened: Happened) -> Expected:
    """Another instrumentation marks the node as failed: it is an interrupt all the same."""
    root = happened.agent()
    happened.span(
        "ask", root, gen_ai__operation__name="execute_task", status="error", raised=INTERRUPT
    )
    return Expected({}, llm_calls=0, runs=((None, "interrupt"),))


@shape
def interrupt_and_resume(happened: Happened) -> Expected:
    """The resumed run is a new trace of the same thread: two runs, one interrupted."""
    thread = {"gen_ai.conversation.id": "t-9"}
    first = happened.agent(**thread, status="ok", raised=INTERRUPT)
    happened.llm(first, used=CALL)
    second = happened.agent(**thread, at=9000)
    happened.llm(second, used=CALL, at=9000)
    return Expected(
        {None: Used(2000, 200)}, llm_calls=2, runs=((None, "interrupt"), (None, "success"))
    )


@shape
def agent_failed_below_a_root_that_says_ok(happened: Happened) -> Expected:
    """OpenAI Agents: the provider failed, the agent's span says so, the workflow's says OK."""
    root = happened.span("Agent workflow", openinference__span__kind="AGENT", status="ok")
    task = happened.span("Agent workflow", root, openinference__span__kind="CHAIN", status="ok")
    agent = happened.span(
        "bot", task, openinference__span__kind="AGENT", status="error", raised="APIError"
    )
    happened.llm(agent, status="error", error__type="APIError")
    return Expected({}, llm_calls=1, runs=((None, "error"),), run={"error_class": "APIError"})


@shape
def prompts_of_claude_code(happened: Happened) -> Expected:
    """Its spans do not say how one ended: as its last own call did, whatever a subagent's did."""
    scope = {"scope": "com.anthropic.claude_code.tracing"}
    refused = {"status": "error", "success": False, "status_code": 529, "error": "Overloaded"}
    for at, attempts in ((0, (refused,)), (2000, (refused, {})), (4000, ({}, refused))):
        prompt = happened.span("claude_code.interaction", at=at, took=900, **scope)
        for number, told in enumerate(attempts):
            happened.span("claude_code.llm_request", prompt, at=at + 300 * number, **scope, **told)
        tool = happened.span("claude_code.tool", prompt, at=at + 800, took=90, **scope)
        happened.span("claude_code.llm_request", tool, at=at + 800, took=50, **scope)
    return Expected(
        {}, llm_calls=8, tool_calls=3, unpriced=5,
        runs=((None, "error"), (None, "success"), (None, "error")),
    )  # fmt: skip


@shape
def an_agent_that_failed_for_some_other_reason(happened: Happened) -> Expected:
    """OpenTelemetry's instrumentation of OpenAI Agents knows no class: the call below does."""
    flow = happened.span("invoke_workflow flow", gen_ai__operation__name="invoke_workflow")
    agent = happened.agent(flow, status="error", error__type="_OTHER")
    happened.llm(agent, used=CALL)
    happened.llm(agent, at=50, status="error", error__type="openai.InternalServerError")
    return Expected(
        {None: CALL}, llm_calls=2, runs=((None, "error"),), run={"outcome_reason": "provider"}
    )


@shape
def an_agent_that_failed_after_its_calls(happened: Happened) -> Expected:
    """Its last call went well: nothing tells why it failed."""
    flow = happened.span("invoke_workflow flow", gen_ai__operation__name="invoke_workflow")
    agent = happened.agent(flow, status="error", error__type="_OTHER")
    happened.llm(agent, status="error", error__type="openai.InternalServerError")
    happened.llm(agent, at=150, used=CALL)
    return Expected(
        {None: CALL}, llm_calls=2, runs=((None, "error"),), run={"outcome_reason": None}
    )


@shape
def only_langfuse_s_level_says_that_a_run_failed(happened: Happened) -> Expected:
    """Its JavaScript SDK sets no status, and calls what LangChain ran a span."""
    failed = {"langfuse.observation.level": "ERROR",
              "langfuse.observation.status_message": "Error: 500 scripted"}  # fmt: skip
    root = happened.span("weather", **failed | {"langfuse.observation.type": "span"})
    happened.span("ChatOpenAI", root, **failed | {"langfuse.observation.type": "generation"})
    return Expected(
        {}, llm_calls=1, runs=((None, "error"),), run={"error_message": "Error: 500 scripted"}
    )


@shape
def failed_agent_made_good(happened: Happened) -> Expected:
    """An agent failed, another took over after it and succeeded: the run went well."""
    root = happened.agent(took=900)
    happened.agent(root, status="error")
    happened.llm(happened.agent(root, at=300), used=CALL, at=300)
    return Expected({None: CALL}, llm_calls=1)


@shape
def failed_agent_in_a_tool(happened: Happened) -> Expected:
    """An agent that failed as a tool is a tool error, which its caller may have dealt with."""
    root = happened.agent(took=900)
    tool = happened.tool(root, status="error")
    happened.agent(tool, status="error")
    happened.llm(root, used=CALL, at=300)
    return Expected({None: CALL}, llm_calls=1, tool_calls=1, run={"tool_errors": 1})


@shape
def failed_root(happened: Happened) -> Expected:
    """The root's own error is the run's."""
    root = happened.span(
        "LangGraph", openinference__span__kind="CHAIN", status="error",
        raised="langgraph.errors.GraphRecursionError",
    )  # fmt: skip
    agent = happened.span("agent", root, openinference__span__kind="AGENT", status="ok")
    happened.llm(agent, used=CALL)
    return Expected({None: CALL}, llm_calls=1, runs=((None, "error"),))


@shape
def client_closed_the_request(happened: Happened) -> Expected:
    """nginx answered 499 at the root: the client had left."""
    server = happened.span("POST /ask", kind="server", http__response__status_code=499)
    happened.llm(server, used=CALL)
    return Expected(
        {None: CALL}, llm_calls=1, runs=((None, "interrupt"),),
        run={"outcome_reason": "client_disconnect"},
    )  # fmt: skip


@shape
def client_closed_the_request_of_an_agent(happened: Happened) -> Expected:
    """The agent behind the proxy went on to its end: nobody waited for it."""
    server = happened.span("POST /ask", kind="server", http__response__status_code=499)
    happened.llm(happened.agent(server), used=CALL)
    return Expected(
        {None: CALL}, llm_calls=1, runs=((None, "interrupt"),),
        run={"outcome_reason": "client_disconnect"},
    )  # fmt: skip


@shape
def server_that_failed_without_a_status(happened: Happened) -> Expected:
    """It answered 502, and its span has no status."""
    server = happened.span("POST /ask", kind="server", http__status_code=502)
    happened.llm(server, used=CALL)
    return Expected({None: CALL}, llm_calls=1, runs=((None, "error"),))


@shape
def server_that_refused_a_request(happened: Happened) -> Expected:
    """422 after the answer's check: the client is to blame, as OpenTelemetry has it of servers."""
    server = happened.span("POST /ask", kind="server", http__response__status_code=422)
    happened.llm(server, used=CALL)
    return Expected({None: CALL}, llm_calls=1, runs=((None, "success"),))


@shape
def tool_server_whose_caller_gave_up(happened: Happened) -> Expected:
    """A server below the agent that saw 499 says nothing of the run."""
    agent = happened.agent()
    tool = happened.tool(agent, status="error")
    happened.span(
        "POST /search", tool, kind="server", service="shop", http__response__status_code=499
    )
    happened.llm(agent, used=CALL, at=200)
    return Expected({None: CALL}, llm_calls=1, tool_calls=1, run={"tool_errors": 1})


@shape
def cancelled_in_a_tool(happened: Happened) -> Expected:
    """pydantic-ai: the task was cancelled while a tool ran, and only the tool's span says so."""
    agent = happened.agent()
    happened.llm(agent, used=CALL, took=50)
    happened.tool(agent, at=50, took=55, status="error", raised=CANCELLED)
    happened.tool(agent, at=50, took=20)
    return Expected(
        {None: CALL}, llm_calls=1, tool_calls=2, runs=((None, "interrupt"),),
        run={"outcome_reason": "client_disconnect", "tool_errors": 0},
    )  # fmt: skip


@shape
def tool_that_was_given_up(happened: Happened) -> Expected:
    """A tool that took too long was cancelled, and the model was told: the run went well."""
    agent = happened.agent(took=200)
    happened.tool(agent, took=50, status="error", raised=CANCELLED)
    happened.llm(agent, used=CALL, at=60)
    return Expected({None: CALL}, llm_calls=1, tool_calls=1)


@shape
def tool_that_was_cancelled_for_another(happened: Happened) -> Expected:
    """Of two tools side by side one failed, for which the other was cancelled: the run failed."""
    agent = happened.agent(status="error")
    happened.llm(agent, used=CALL, took=50)
    happened.tool(agent, at=50, took=20, status="error", raised="ValueError")
    happened.tool(agent, at=50, took=30, status="error", raised=CANCELLED)
    return Expected({None: CALL}, llm_calls=1, tool_calls=2, runs=((None, "error"),))


@shape
def tool_that_lost_a_race(happened: Happened) -> Expected:
    """The first of two tools wins, and the agent goes on with no further call."""
    agent = happened.agent(took=300)
    happened.llm(agent, used=CALL, took=50)
    happened.tool(agent, at=50, took=20)
    happened.tool(agent, at=50, took=25, status="error", raised=CANCELLED)
    return Expected({None: CALL}, llm_calls=1, tool_calls=2)


@shape
def tool_that_was_given_up_by_its_node(happened: Happened) -> Expected:
    """The node of a graph answers by itself when the tool has taken too long."""
    agent = happened.agent(took=102)
    happened.llm(agent, used=CALL, took=50)
    node = happened.span("act", agent, at=50, took=51, gen_ai__operation__name="execute_task")
    happened.tool(node, at=50, took=50, status="error", raised=CANCELLED)
    return Expected({None: CALL}, llm_calls=1, tool_calls=1)


@shape
def tool_of_an_agent_that_says_ok(happened: Happened) -> Expected:
    """It ran beside the agent, and was cancelled after the agent had ended."""
    agent = happened.agent(took=100, status="ok")
    happened.llm(agent, used=CALL)
    happened.tool(agent, at=20, took=900, status="error", raised=CANCELLED)
    return Expected({None: CALL}, llm_calls=1, tool_calls=1)


@shape
def run_after_one_that_was_cancelled_in_a_tool(happened: Happened) -> Expected:
    """Of two runs side by side in a trace the second is no part of how the first ended."""
    server = happened.span("POST /ask", took=900)
    first, second = happened.agent(server), happened.agent(server, at=200)
    happened.tool(first, at=50, took=30, status="error", raised=CANCELLED)
    happened.llm(second, at=200, used=CALL)
    return Expected(
        {None: CALL}, llm_calls=1, tool_calls=1, runs=((None, "interrupt"), (None, "success"))
    )


@shape
def agent_that_was_closed_after_the_answer(happened: Happened) -> Expected:
    """AutoGen: the generator of an agent is cancelled when the agent that asked it has ended."""
    root = happened.agent(took=100)
    team = happened.agent(root, took=102, status="ok", raised=CANCELLED)
    member = happened.agent(team, took=101, status="ok", raised=CANCELLED)
    happened.llm(member, used=CALL, took=90)
    return Expected({None: CALL}, llm_calls=1)


@shape
def agent_that_was_cancelled(happened: Happened) -> Expected:
    """Before the agent that asked it has ended, which does not know."""
    member = happened.agent(happened.agent(took=100), took=99, status="ok", raised=CANCELLED)
    happened.llm(member, used=CALL, took=90)
    return Expected({None: CALL}, llm_calls=1, runs=((None, "interrupt"),))


@shape
def stream_that_the_provider_broke_off(happened: Happened) -> Expected:
    """pydantic-ai: the call looks like one that its caller left, the agent says what happened."""
    agent = happened.agent(status="error", raised="pydantic_ai.exceptions.ModelConnectionError")
    happened.llm(agent, scope="pydantic-ai")
    return Expected(
        {}, llm_calls=1, runs=((None, "error"),), run={"outcome_reason": "provider"},
        call={"outcome": "error", "error_class": "pydantic_ai.exceptions.ModelConnectionError"},
    )  # fmt: skip


@shape
def stream_that_its_reader_left(happened: Happened) -> Expected:
    """The agent failed for something else, and so read no further."""
    agent = happened.agent(status="error", raised="ValueError")
    happened.llm(agent, scope="pydantic-ai")
    return Expected({}, llm_calls=1, runs=((None, "error"),), call={"outcome": "interrupt"})


@shape
def stream_whose_last_call_failed(happened: Happened) -> Expected:
    """Vercel: without an end, as one that was aborted, but the provider failed in a later step."""
    told = {"scope": "ai", "ai__operationId": "ai.streamText"}
    stream = happened.span("ai.streamText", took=200, **told)
    happened.llm(stream, used=CALL)
    happened.llm(stream, at=120, took=50, status="error", raised="AI_APICallError")
    return Expected(
        {None: CALL}, llm_calls=2, runs=((None, "error"),), run={"error_class": "AI_APICallError"}
    )


@shape
def stream_that_was_aborted_after_a_retry(happened: Happened) -> Expected:
    """The call that failed was not the last."""
    stream = happened.span("ai.streamText", took=200, scope="ai", ai__operationId="ai.streamText")
    happened.llm(stream, status="error", raised="AI_APICallError")
    happened.llm(stream, at=120, took=50, used=CALL)
    return Expected({None: CALL}, llm_calls=2, runs=((None, "interrupt"),))


@shape
def stream_that_a_tool_left(happened: Happened) -> Expected:
    """A tool aborts a stream of its own, whose beginning was enough: the run goes on."""
    root = happened.agent(took=300)
    tool = happened.tool(root)
    happened.span("ai.streamText", tool, scope="ai", ai__operationId="ai.streamText")
    happened.llm(root, at=200, used=CALL)
    return Expected({None: CALL}, llm_calls=1, tool_calls=1)
