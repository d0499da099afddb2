"""Trees as certain frameworks build them."""

from tests.analytics.corpus.shape import Expected, Happened, Used, shape

FIRST = Used(82, 17)
SECOND = Used(131, 9, 64)
RUN = Used(213, 26, 64)


@shape
def traceloop_langgraph(happened: Happened) -> Expected:
    """`LangGraph.workflow` and `invoke_agent LangGraph` both say invoke_agent: one run."""
    workflow = happened.agent(took=900)
    graph = happened.agent(workflow, took=800)
    node = happened.span("execute_task agent", graph, gen_ai__operation__name="execute_task")
    happened.llm(node, used=FIRST)
    happened.tool(node, at=50)
    happened.llm(node, used=SECOND, at=90)
    return Expected({None: RUN}, llm_calls=2, tool_calls=1, run={"duration_ms": 900.0})


@shape
def openinference_langgraph(happened: Happened) -> Expected:
    """The graph is a CHAIN, its node `agent` an AGENT: the graph is the run."""
    graph = happened.span("LangGraph", openinference__span__kind="CHAIN", took=900, status="ok")
    for at, used in ((0, FIRST), (50, SECOND)):
        node = happened.span("agent", graph, openinference__span__kind="AGENT", at=at, status="ok")
        happened.llm(node, used=used, at=at)
    return Expected({None: RUN}, llm_calls=2, run={"duration_ms": 900.0})


@shape
def openai_agents(happened: Happened) -> Expected:
    """Workflow, agent, turn, response and the SDK's own span: each response once."""
    root = happened.span("Agent workflow", openinference__span__kind="AGENT", status="ok")
    agent = happened.span("bot", root, openinference__span__kind="AGENT", status="ok")
    for at, used in ((0, FIRST), (50, SECOND)):
        turn = happened.span("turn", agent, openinference__span__kind="CHAIN", at=at)
        response = happened.llm(turn, used=used, at=at, scope="agents")
        happened.llm(response, used=used, at=at, scope="openai")
    return Expected({None: RUN}, llm_calls=2)


@shape
def vercel(happened: Happened) -> Expected:
    """ai.generateText repeats what its doGenerate used."""
    outer = happened.span("ai.generateText", ai__operationId="ai.generateText", used=RUN)
    for at, used in ((0, FIRST), (50, SECOND)):
        happened.span(
            "ai.generateText.doGenerate", outer, ai__operationId="ai.generateText.doGenerate",
            used=used, at=at, ai__model__id="gpt-4o", ai__model__provider="openai",
            ai__response__finishReason="stop",
        )  # fmt: skip
    return Expected({None: RUN}, llm_calls=2)


@shape
def tenxgraph(happened: Happened) -> Expected:
    """10xgraph splits a request into traces, repeats usage on nodes and measures no time."""
    for used in (FIRST, SECOND):
        node = happened.span(
            "tenxgraph.node", used=used, took=0, gen_ai__operation__name="node",
            tenxgraph__node__name="MAIN",
        )  # fmt: skip
        happened.llm(node, used=used, took=0, gen_ai__response__id=happened.response(str(used)))
    happened.span(
        "tenxgraph.tool",
        gen_ai__operation__name="tool_call",
        tenxgraph__tool__name="search",
        took=0,
    )
    return Expected(
        {None: RUN}, llm_calls=2, tool_calls=1, runs=((None, "success"),) * 3,
        run={"duration_ms": None},
    )  # fmt: skip


@shape
def litellm_proxy(happened: Happened) -> Expected:
    """The server's span itself carries the request's attributes; what lies below adds nothing."""
    post = happened.span(
        "POST", happened.llm(happened.agent(), used=SECOND, scope="sdk"), kind="client"
    )
    proxy = happened.llm(post, used=SECOND, kind="server", service="proxy", scope="litellm")
    happened.span(
        "raw_gen_ai_request", proxy, used=SECOND, service="proxy", scope="litellm",
        gen_ai__operation__name="raw",
    )  # fmt: skip
    return Expected({None: SECOND}, llm_calls=1)


@shape
def hand_off(happened: Happened) -> Expected:
    """Agents that hand over to one another below one workflow are one run."""
    workflow = happened.agent(used=RUN, tenant__id="acme")
    for at, used in ((0, FIRST), (50, SECOND)):
        happened.llm(happened.agent(workflow, at=at, used=used), used=used, at=at)
    return Expected({"acme": RUN}, llm_calls=2, runs=(("acme", "success"),))


@shape
def ag2(happened: Happened) -> Expected:
    """Each call's usage is told once more beside it; only a compaction has no span but that."""
    turn = happened.agent(took=900)
    scope = "opentelemetry.instrumentation.ag2"
    for at, used in ((0, FIRST), (50, SECOND)):
        happened.llm(turn, used=used, at=at, scope=scope)
        happened.span(
            "record_usage model_call", turn, used=used, at=at + 90, took=0, scope=scope,
            ag2__usage__kind="model_call",
        )  # fmt: skip
    happened.span(
        "record_usage compaction", turn, used=FIRST, at=950, took=0, scope=scope,
        ag2__usage__kind="compaction", gen_ai__response__model="gpt-4o",
        gen_ai__provider__name="openai",
    )  # fmt: skip
    return Expected({None: Used(295, 43, 64)}, llm_calls=3)


@shape
def ag2_delegates_to_an_agent_that_is_traced(happened: Happened) -> Expected:
    """The sum over what it used stands beside its own spans."""
    scope = "opentelemetry.instrumentation.ag2"
    turn = happened.agent(took=900, scope=scope, gen_ai__agent__name="front")
    tool = happened.tool(turn, scope=scope)
    worker = happened.agent(tool, scope=scope, gen_ai__agent__name="worker")
    happened.llm(worker, used=FIRST, scope=scope)
    happened.span(
        "record_usage subtask", turn, used=FIRST, took=0, scope=scope,
        ag2__usage__kind="subtask", ag2__usage__label="worker",
    )  # fmt: skip
    return Expected({None: FIRST}, llm_calls=1, tool_calls=1)


@shape
def ag2_delegates_to_an_agent_that_is_not_traced(happened: Happened) -> Expected:
    """The sum is all that tells what it used, also where it is the same agent once more."""
    scope = "opentelemetry.instrumentation.ag2"
    turn = happened.agent(took=900, scope=scope, gen_ai__agent__name="front")
    happened.tool(turn, scope=scope)
    for label in ("worker", "front"):
        happened.span(
            "record_usage subtask", turn, used=FIRST, took=0, scope=scope,
            ag2__usage__kind="subtask", ag2__usage__label=label,
            gen_ai__response__model="gpt-4o", gen_ai__provider__name="openai",
        )  # fmt: skip
    return Expected({None: Used(164, 34)}, llm_calls=0, tool_calls=1)


@shape
def livekit(happened: Happened) -> Expected:
    """A session is no run: its turns are."""
    session = happened.span(
        "agent_session",
        gen_ai__operation__name="invoke_workflow",
        took=5000,
        scope="livekit-agents",
    )
    for at, used in ((0, FIRST), (2000, SECOND)):
        turn = happened.agent(session, at=at, scope="livekit-agents")
        happened.llm(turn, used=used, at=at, scope="livekit-agents")
    return Expected({None: RUN}, llm_calls=2, runs=((None, "success"),) * 2)


@shape
def voltagent(happened: Happened) -> Expected:
    """The run repeats what its calls used, under names of its own."""
    ours = {"scope": "@voltagent/core", "status": "ok"}
    run = happened.span(
        "generateText", agent__state="completed", usage__prompt_tokens=RUN.input,
        usage__completion_tokens=RUN.output, **ours,
    )  # fmt: skip
    for at, used in ((0, FIRST), (50, SECOND)):
        happened.span(
            "llm:generateText", run, span__type="llm", llm__model="openai/gpt-4o", at=at,
            llm__provider="openai", llm__usage__prompt_tokens=used.input,
            llm__usage__completion_tokens=used.output, llm__usage__cached_tokens=used.cached,
            **ours,
        )  # fmt: skip
    return Expected({None: RUN}, llm_calls=2)
