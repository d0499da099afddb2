"""One tool call, told in more than one span."""

from tests.analytics.corpus.shape import Expected, Happened, shape

CLAUDE = "com.anthropic.claude_code"


@shape
def claude_code_says_on_the_execution_that_a_tool_failed(happened: Happened) -> Expected:
    """The tool's span ends well, the execution below it did not: one call, failed."""
    run = happened.span("claude_code.interaction", scope=CLAUDE, took=900)
    for at, success in ((0, True), (300, False)):
        tool = happened.span(
            "claude_code.tool",
            run,
            scope=CLAUDE,
            at=at,
            tool_name="Bash",
            tool_use_id=f"toolu_{at}",
        )
        happened.span(
            "claude_code.tool.blocked_on_user", tool, scope=CLAUDE, at=at, took=20,
            decision="accept",
        )  # fmt: skip
        happened.span(
            "claude_code.tool.execution", tool, scope=CLAUDE, at=at + 20, took=70, success=success,
            **({} if success else {"error": "ShellError"}),
        )  # fmt: skip
    return Expected(
        {}, llm_calls=0, tool_calls=2, run={"tool_errors": 1},
        tools=({"outcome": "success", "error_class": None, "tool_name": "Bash"},
               {"outcome": "error", "error_message": "ShellError", "tool_call_id": "toolu_300"}),
    )  # fmt: skip


@shape
def a_tool_that_claude_code_s_user_refused(happened: Happened) -> Expected:
    """Nothing was executed below it, and only the span of the question says why."""
    run = happened.span("claude_code.interaction", scope=CLAUDE, took=900)
    for at, decision in ((0, "reject"), (300, "accept")):
        tool = happened.span("claude_code.tool", run, scope=CLAUDE, at=at, tool_name="Bash")
        happened.span(
            "claude_code.tool.blocked_on_user", tool, scope=CLAUDE, at=at, took=20,
            span__type="tool.blocked_on_user", decision=decision,
        )  # fmt: skip
    happened.span(
        "claude_code.tool.execution", tool, scope=CLAUDE, at=320, took=70, success=False,
        error="ShellError",
    )  # fmt: skip
    return Expected(
        {}, llm_calls=0, tool_calls=2, run={"tool_errors": 1}, runs=((None, "success"),),
        tools=({"outcome": "interrupt", "tool_name": "Bash"}, {"outcome": "error"}),
    )  # fmt: skip


@shape
def an_agent_that_claude_code_ran_as_a_tool(happened: Happened) -> Expected:
    """What failed inside a sub-agent is the failure of its own tool, not of the agent's."""
    run = happened.span("claude_code.interaction", scope=CLAUDE, took=900)
    agent = happened.span("claude_code.tool", run, scope=CLAUDE, took=800, tool_name="Agent")
    execution = happened.span(
        "claude_code.tool.execution", agent, scope=CLAUDE, at=10, took=700, success=True
    )
    read = happened.span("claude_code.tool", execution, scope=CLAUDE, at=20, tool_name="Read")
    happened.span(
        "claude_code.tool.execution", read, scope=CLAUDE, at=30, took=70, success=False,
        error="Error:ENOENT",
    )  # fmt: skip
    return Expected(
        {}, llm_calls=0, tool_calls=2, run={"tool_errors": 1},
        tools=({"tool_name": "Agent", "outcome": "success", "error_message": None},
               {"tool_name": "Read", "outcome": "error", "error_message": "Error:ENOENT"}),
    )  # fmt: skip


@shape
def two_libraries_saw_the_tool_nested(happened: Happened) -> Expected:
    """The framework's span holds that of the MCP client, which holds the server's: one call."""
    agent = happened.agent()
    outer = happened.tool(agent, scope="framework", gen_ai__tool__call__id="call_7")
    client = happened.span(
        "tools/call search", outer, kind="client", scope="mcp", at=1, took=90,
        gen_ai__operation__name="execute_tool", gen_ai__tool__name="search",
    )  # fmt: skip
    post = happened.span("POST", client, kind="client", scope="httpx", at=2, took=80)
    happened.span(
        "tools/call search", post, kind="server", service="tools", scope="mcp", at=3, took=70,
        gen_ai__operation__name="execute_tool", gen_ai__tool__name="search", status="error",
        error__type="tool_error",
    )  # fmt: skip
    return Expected(
        {}, llm_calls=0, tool_calls=1, run={"tool_errors": 1},
        tools=({"tool_call_id": "call_7", "outcome": "error", "error_class": "tool_error"},),
    )  # fmt: skip


@shape
def two_libraries_saw_the_tool_side_by_side(happened: Happened) -> Expected:
    """Neither is below the other: the id of the call says that it is one; one knows it failed."""
    agent = happened.agent()
    happened.tool(agent, scope="one", gen_ai__tool__call__id="call_7")
    happened.tool(
        agent, scope="two", at=1, gen_ai__tool__call__id="call_7", status="error",
        error__type="ValueError",
    )  # fmt: skip
    return Expected(
        {}, llm_calls=0, tool_calls=1, run={"tool_errors": 1},
        tools=({"outcome": "error", "error_class": "ValueError"},),
    )  # fmt: skip


@shape
def two_tries_of_a_tool_seen_by_two_libraries(happened: Happened) -> Expected:
    """Each library tells each try once: two tries, the second of which went well."""
    agent = happened.agent(took=900)
    for at, status in ((0, "error"), (300, "ok")):
        for scope in ("one", "two"):
            happened.tool(agent, scope=scope, at=at, status=status, gen_ai__tool__call__id="call_7")
    return Expected({}, llm_calls=0, tool_calls=2, run={"tool_errors": 1})


@shape
def retries_inside_a_tool(happened: Happened) -> Expected:
    """Tries of the same tool below its span are no calls of their own; the last one counts."""
    agent = happened.agent(took=900)
    tool = happened.tool(agent, took=400)
    happened.tool(tool, at=10, took=50, status="error", error__type="TimeoutError")
    happened.tool(tool, at=100, took=50)
    return Expected(
        {}, llm_calls=0, tool_calls=1, run={"tool_errors": 0},
        tools=({"outcome": "success", "error_class": None},),
    )  # fmt: skip


@shape
def a_server_s_name_before_the_tool_s(happened: Happened) -> Expected:
    """An MCP tool is called by its server's name and its own, and told by its own inside."""
    tool = happened.span(
        "execute_tool", happened.agent(), gen_ai__operation__name="execute_tool",
        gen_ai__tool__name="mcp__files__search",
    )  # fmt: skip
    happened.tool(tool, service="files", scope="mcp", at=5, took=50)
    return Expected({}, llm_calls=0, tool_calls=1, tools=({"tool_name": "mcp__files__search"},))


@shape
def tools_that_only_look_like_one(happened: Happened) -> Expected:
    """Another id, another name, or an agent between them: calls of their own."""
    agent = happened.agent(took=900)
    first = happened.tool(agent, gen_ai__tool__call__id="call_1")
    happened.tool(first, at=5, took=10, gen_ai__tool__call__id="call_2")
    happened.span(
        "execute_tool read", first, at=20, took=10, gen_ai__operation__name="execute_tool",
        gen_ai__tool__name="read",
    )  # fmt: skip
    within = happened.agent(happened.tool(agent, at=200), at=201, took=90)
    happened.tool(within, at=210, took=10)
    return Expected({}, llm_calls=0, tool_calls=5)
