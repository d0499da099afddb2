"""Whose a run and a call are."""

from tests.analytics.corpus.shape import Expected, Happened, Used, shape

CALL = Used(1000, 100)


@shape
def named_above_the_agent(happened: Happened) -> Expected:
    """The web framework's span names the tenant, nothing below repeats it."""
    web = happened.span("POST /ask", kind="server", tenant__id="acme")
    happened.llm(happened.agent(web), used=CALL)
    return Expected({"acme": CALL}, llm_calls=1, runs=(("acme", "success"),))


@shape
def named_below_the_agent(happened: Happened) -> Expected:
    """Only a node deep inside names the tenant."""
    agent = happened.agent()
    node = happened.span("plan", agent, graph__node__name="plan", tenant__id="acme")
    happened.llm(agent, used=CALL)
    happened.tool(node)
    return Expected({"acme": CALL}, llm_calls=1, tool_calls=1, runs=(("acme", "success"),))


@shape
def named_by_the_resource(happened: Happened) -> Expected:
    """A process that serves one tenant says so once."""
    happened.llm(happened.agent(resource={"tenant.id": "acme"}), used=CALL)
    return Expected({"acme": CALL}, llm_calls=1, runs=(("acme", "success"),))


@shape
def all_of_a_process_named_by_its_resource(happened: Happened) -> Expected:
    """A desktop's process says once whose it is, in which session, and which agent it runs."""
    resource = {"tenant.id": "acme", "user.id": "u-1", "session.id": "t-1",
                "gen_ai.agent.name": "clerk"}  # fmt: skip
    agent = happened.agent(resource=resource)
    happened.llm(agent, used=CALL, resource=resource)
    happened.tool(agent, resource=resource)
    whose = {"user_id": "u-1", "thread_id": "t-1"}
    return Expected(
        {"acme": CALL}, llm_calls=1, tool_calls=1, runs=(("acme", "success"),),
        run=whose, call=whose,
    )  # fmt: skip


@shape
def a_span_above_beats_every_name_of_the_resource(happened: Happened) -> Expected:
    """A worker of a session of its own serves what a gateway's span says it does."""
    shared = {"user.id": "worker", "session.id": "worker-7", "agent.run.id": "worker-7"}
    web = happened.span(
        "POST /ask", kind="server", service="gateway", user__id="u-1", session__id="t-1",
        agent__run__id="r-1",
    )  # fmt: skip
    agent = happened.agent(web, resource=shared)
    happened.llm(agent, used=CALL, resource=shared)
    whose = {"user_id": "u-1", "thread_id": "t-1", "run_id": "r-1"}
    return Expected({None: CALL}, llm_calls=1, run=whose, call=whose)


@shape
def two_tenants_in_one_trace(happened: Happened) -> Expected:
    """A batch works for two tenants in one trace: nothing is told to the other."""
    batch = happened.span("nightly")
    for at, tenant in ((0, "acme"), (50, "globex")):
        agent = happened.agent(batch, tenant__id=tenant, at=at)
        happened.llm(agent, used=CALL, at=at)
    return Expected(
        {"acme": CALL, "globex": CALL}, llm_calls=2,
        runs=(("acme", "success"), ("globex", "success")),
    )  # fmt: skip


@shape
def one_of_two_runs_names_nobody(happened: Happened) -> Expected:
    """What the other run of the trace says is not about this one."""
    batch = happened.span("nightly")
    happened.llm(happened.agent(batch, tenant__id="acme"), used=CALL)
    happened.llm(happened.agent(batch, at=50), used=CALL, at=50)
    return Expected(
        {"acme": CALL, None: CALL}, llm_calls=2, runs=((None, "success"), ("acme", "success"))
    )


@shape
def each_run_is_named_by_its_own_branch(happened: Happened) -> Expected:
    """A span above one run only, or inside it, names that run's tenant alone."""
    batch = happened.span("nightly")
    first = happened.span("job", batch, tenant__id="acme")
    happened.llm(happened.agent(first), used=CALL)
    second = happened.agent(happened.span("job", batch, at=50), at=50)
    happened.llm(second, used=CALL, at=50, tenant__id="globex")
    return Expected(
        {"acme": CALL, "globex": CALL}, llm_calls=2,
        runs=(("acme", "success"), ("globex", "success")),
    )  # fmt: skip


@shape
def no_thread_is_made_up(happened: Happened) -> Expected:
    """A run without a conversation has none: its trace_id would make each a thread of its own."""
    happened.llm(happened.agent(), used=CALL)
    return Expected({None: CALL}, llm_calls=1, run={"thread_id": None, "ttfb_ms": None})


@shape
def thread_on_the_root_only(happened: Happened) -> Expected:
    """The conversation named at the root is that of everything below."""
    agent = happened.agent(gen_ai__conversation__id="t-1")
    happened.llm(agent, used=CALL)
    return Expected({None: CALL}, llm_calls=1, run={"thread_id": "t-1"}, call={"thread_id": "t-1"})


SHARED = {"tenant.id": "platform"}


@shape
def a_span_above_beats_the_resource(happened: Happened) -> Expected:
    """A shared service has a tenant of its own; the gateway above names whose request it was."""
    web = happened.span("POST /ask", kind="server", service="gateway", tenant__id="acme")
    agent = happened.agent(web, resource=SHARED)
    happened.llm(agent, used=CALL, resource=SHARED)
    happened.tool(agent, resource=SHARED)
    return Expected(
        {"acme": CALL}, llm_calls=1, tool_calls=1, runs=(("acme", "success"),),
        call={"tenant_id": "acme"},
    )  # fmt: skip


@shape
def the_span_itself_beats_all(happened: Happened) -> Expected:
    """What a call names is the call's, whatever is above it or around it."""
    web = happened.span("POST /ask", kind="server", tenant__id="acme")
    agent = happened.agent(web, resource=SHARED)
    happened.llm(agent, used=CALL, at=1, resource=SHARED, tenant__id="globex")
    return Expected({"globex": CALL}, llm_calls=1, runs=(("acme", "success"),))


@shape
def what_was_passed_along_comes_last(happened: Happened) -> Expected:
    """Baggage and JSON metadata only came along: a span above and the resource know better."""
    for above, resource in (
        ({"tenant__id": "acme"}, SHARED),
        ({"tenant__id": "globex"}, {}),
        ({}, SHARED),
        ({}, {}),
    ):
        agent = happened.agent(resource=resource, **above)
        passed = {"baggage__tenant__id": "passed on", "metadata": '{"tenant_id": "said"}'}
        happened.llm(agent, used=CALL, resource=resource, **passed)
    return Expected(
        {"acme": CALL, "globex": CALL, "platform": CALL, "passed on": CALL}, llm_calls=4,
        runs=(("acme", "success"), ("globex", "success"), ("passed on", "success"),
              ("platform", "success")),
    )  # fmt: skip


@shape
def runs_of_a_shared_service(happened: Happened) -> Expected:
    """Each run of a trace is of whom a span above it names; the resource speaks for the rest."""
    batch = happened.span("nightly", resource=SHARED)
    for at, job in ((0, {"tenant__id": "acme"}), (50, {"tenant__id": "globex"}), (90, {})):
        above = happened.span("job", batch, at=at, resource=SHARED, **job)
        agent = happened.agent(above, at=at, resource=SHARED)
        happened.llm(agent, used=CALL, at=at, resource=SHARED)
    return Expected(
        {"acme": CALL, "globex": CALL, "platform": CALL}, llm_calls=3,
        runs=(("acme", "success"), ("globex", "success"), ("platform", "success")),
    )  # fmt: skip


@shape
def a_tool_of_another_tenant(happened: Happened) -> Expected:
    """A service that is called as a tool names its own tenant: the run stays whose it is."""
    agent = happened.agent(resource=SHARED)
    happened.llm(agent, used=CALL, resource=SHARED)
    happened.tool(agent, tenant__id="globex")
    return Expected(
        {"platform": CALL}, llm_calls=1, tool_calls=1, runs=(("platform", "success"),),
        call={"tenant_id": "platform"}, tools=({"tenant_id": "globex"},),
    )  # fmt: skip


@shape
def a_tool_alone_names_the_tenant(happened: Happened) -> Expected:
    """Where nobody else does, it is better than nothing."""
    agent = happened.agent()
    happened.llm(agent, used=CALL)
    happened.tool(agent, tenant__id="acme")
    return Expected({"acme": CALL}, llm_calls=1, tool_calls=1, runs=(("acme", "success"),))


@shape
def tools_of_another_tenant_in_two_runs(happened: Happened) -> Expected:
    """The same where a trace has several runs."""
    batch = happened.span("nightly")
    for at, resource, tenant in ((0, SHARED, "globex"), (50, None, "acme")):
        agent = happened.agent(batch, at=at, resource=resource)
        happened.llm(agent, used=CALL, at=at, resource=resource)
        happened.tool(agent, at=at + 60, tenant__id=tenant)
    return Expected(
        {"platform": CALL, "acme": CALL}, llm_calls=2, tool_calls=2,
        runs=(("acme", "success"), ("platform", "success")),
    )  # fmt: skip
