"""Usage on several levels of one trace: the deepest spans that carry it count."""

from tests.analytics.corpus.shape import Expected, Happened, Used, shape

CALL = Used(1000, 100, 400)
OTHER = Used(500, 50)
BOTH = Used(1500, 150, 400)


@shape
def agent_roll_up(happened: Happened) -> Expected:
    """An agent that repeats the sum of its calls adds nothing."""
    agent = happened.agent(used=BOTH)
    happened.llm(agent, used=CALL)
    happened.llm(agent, used=OTHER, at=50)
    return Expected({None: BOTH}, llm_calls=2)


@shape
def roll_up_on_every_level(happened: Happened) -> Expected:
    """Agent, sub-agent and node repeat one call: it counts once."""
    agent = happened.agent(used=CALL)
    sub = happened.agent(agent, used=CALL)
    node = happened.span("plan", sub, used=CALL, graph__node__name="plan")
    happened.llm(node, used=CALL)
    return Expected({None: CALL}, llm_calls=1)


@shape
def agent_only_usage(happened: Happened) -> Expected:
    """An agent whose calls report nothing is all there is: it counts."""
    agent = happened.agent(used=CALL, gen_ai__request__model="gpt-4o", gen_ai__system="openai")
    happened.llm(agent)
    return Expected({None: CALL}, llm_calls=1, run={"usage_source": "rollup"})


@shape
def usage_on_the_inner_agents_only(happened: Happened) -> Expected:
    """Of agents above agents without calls, the deepest count."""
    model = {"gen_ai.request.model": "gpt-4o", "gen_ai.system": "openai"}
    agent = happened.agent(used=BOTH, **model)
    happened.agent(agent, used=CALL, **model)
    happened.agent(agent, used=OTHER, **model)
    return Expected({None: BOTH}, llm_calls=0)


@shape
def usage_on_a_span_of_no_known_kind(happened: Happened) -> Expected:
    """A span that names no operation, but tokens and a model, has used them."""
    agent = happened.agent()
    happened.span(
        "guess", agent, used=CALL, kind="client", gen_ai__request__model="gpt-4o",
        gen_ai__system="openai", gen_ai__operation__name="guess",
    )  # fmt: skip
    return Expected({None: CALL}, llm_calls=0)


@shape
def model_call_in_model_call(happened: Happened) -> Expected:
    """The span of the framework around that of the SDK is the same call."""
    outer = happened.llm(happened.agent(), used=CALL, scope="framework")
    happened.llm(outer, used=CALL, scope="sdk", at=1, took=90)
    return Expected({None: CALL}, llm_calls=1)


@shape
def outer_call_knows_the_cached_tokens(happened: Happened) -> Expected:
    """The inner span leaves out how much was cached: the outer one's word stands."""
    outer = happened.llm(happened.agent(), used=CALL, scope="framework")
    happened.llm(outer, used=Used(1000, 100), scope="sdk", at=1, took=90)
    return Expected({None: CALL}, llm_calls=1, call={"cache_read_tokens": 400})


@shape
def three_model_spans_deep(happened: Happened) -> Expected:
    """Framework, SDK and gateway in one trace: one call."""
    outer = happened.llm(happened.agent(), used=CALL, scope="framework")
    sdk = happened.llm(outer, scope="sdk", at=1, took=90)
    post = happened.span("POST", sdk, kind="client", at=2, took=80)
    server = happened.span("POST /v1", post, kind="server", service="gateway", at=3, took=70)
    happened.llm(server, used=CALL, service="gateway", at=4, took=60)
    return Expected({None: CALL}, llm_calls=1)


@shape
def model_served_by_an_agent(happened: Happened) -> Expected:
    """A model that is another service's agent reports the sum of what that agent's calls report."""
    outer = happened.llm(happened.agent(), used=BOTH)
    remote = happened.agent(outer, service="remote")
    happened.llm(remote, used=CALL, service="remote")
    happened.llm(remote, used=OTHER, service="remote", at=50)
    return Expected({None: BOTH}, llm_calls=2)


@shape
def agent_as_a_tool(happened: Happened) -> Expected:
    """What an agent in a tool used is beside what its caller used, in one run."""
    agent = happened.agent(used=CALL)
    happened.llm(agent, used=CALL)
    tool = happened.tool(agent, used=OTHER, at=100)
    sub = happened.agent(tool, used=OTHER, at=101)
    happened.llm(sub, used=OTHER, at=102)
    return Expected({None: BOTH}, llm_calls=2, tool_calls=1)


@shape
def tool_inside_a_model_call(happened: Happened) -> Expected:
    """A call made by a tool is no part of the response that asked for the tool."""
    outer = happened.llm(happened.agent(), used=CALL)
    happened.llm(happened.tool(outer), used=OTHER)
    return Expected({None: BOTH}, llm_calls=2, tool_calls=1)


@shape
def tool_with_usage_alone(happened: Happened) -> Expected:
    """A tool that wraps a model and alone says what it used is counted."""
    agent = happened.agent()
    happened.llm(agent, used=OTHER)
    happened.tool(agent, used=CALL, gen_ai__request__model="gpt-4o", gen_ai__system="openai")
    return Expected({None: BOTH}, llm_calls=1, tool_calls=1)


@shape
def split_across_services(happened: Happened) -> Expected:
    """Two services of one trace, two resources: one run, of whom the first says it is."""
    web = happened.span("POST /ask", kind="server", service="web")
    agent = happened.agent(web, service="web", tenant__id="acme", used=BOTH)
    happened.llm(agent, used=CALL, service="web")
    post = happened.span("POST /work", agent, kind="client", service="web")
    work = happened.span("POST /work", post, kind="server", service="worker", scope="http")
    sub = happened.agent(work, service="worker", scope="worker")
    happened.llm(sub, used=OTHER, service="worker", scope="worker")
    return Expected({"acme": BOTH}, llm_calls=2, runs=(("acme", "success"),))


@shape
def embeddings(happened: Happened) -> Expected:
    """Embeddings have input alone, and are a call."""
    agent = happened.agent()
    happened.span(
        "embeddings", agent, kind="client", gen_ai__operation__name="embeddings",
        gen_ai__provider__name="openai", gen_ai__request__model="text-embedding-3-small",
        gen_ai__usage__input_tokens=0,
    )  # fmt: skip
    return Expected({None: Used()}, llm_calls=1)


@shape
def retrieval_below_an_agent_that_sums_up(happened: Happened) -> Expected:
    """The sum on an agent is of its chats: embeddings below it neither hide nor replace it."""
    agent = happened.agent(used=CALL, gen_ai__request__model="gpt-4o", gen_ai__system="openai")
    retriever = happened.span("retrieve", agent, openinference__span__kind="RETRIEVER")
    happened.span("rerank", retriever, openinference__span__kind="RERANKER")
    happened.span(
        "embeddings", retriever, kind="client", gen_ai__operation__name="embeddings",
        gen_ai__provider__name="openai", gen_ai__request__model="text-embedding-3-small",
        gen_ai__usage__input_tokens=0,
    )  # fmt: skip
    happened.llm(agent)
    return Expected({None: CALL}, llm_calls=2)


@shape
def semantic_cache_inside_a_model_call(happened: Happened) -> Expected:
    """The embedding by which a gateway looks into its cache is no repetition of the chat."""
    chat = happened.llm(happened.agent(), used=CALL)
    happened.span(
        "embeddings", chat, kind="client", gen_ai__operation__name="embeddings",
        gen_ai__provider__name="openai", gen_ai__request__model="text-embedding-3-small",
        gen_ai__usage__input_tokens=0,
    )  # fmt: skip
    return Expected({None: CALL}, llm_calls=2)


@shape
def spans_and_metrics(happened: Happened) -> Expected:
    """A metric counts the same tokens: it is never added."""
    happened.llm(happened.agent(), used=CALL)
    happened.counted("gen_ai.client.inference.usage.input_tokens", 1000)
    happened.counted("gen_ai.client.inference.usage.output_tokens", 100)
    return Expected({None: CALL}, llm_calls=1)
