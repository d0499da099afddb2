"""One call told more than once."""

from tests.analytics.corpus.shape import Expected, Happened, Used, shape

CALL = Used(1000, 100, 400)
SECOND = Used(2000, 200, 800)
MINUTE = 60_000


@shape
def two_instrumentations_nested(happened: Happened) -> Expected:
    """Both report the response: one call."""
    response = {"gen_ai.response.id": happened.response()}
    outer = happened.llm(happened.agent(), used=CALL, scope="one", **response)
    happened.llm(outer, used=CALL, scope="two", at=1, took=90, **response)
    return Expected({None: CALL}, llm_calls=1)


@shape
def two_instrumentations_side_by_side(happened: Happened) -> Expected:
    """Neither is below the other: the response id says that it is one call."""
    response = {"gen_ai.response.id": happened.response()}
    agent = happened.agent()
    happened.llm(agent, used=CALL, scope="one", **response)
    happened.llm(agent, used=CALL, scope="two", at=1, **response)
    return Expected({None: CALL}, llm_calls=1)


@shape
def only_the_later_knows_what_was_cached(happened: Happened) -> Expected:
    """The count of cached tokens comes from whichever span has it."""
    response = {"gen_ai.response.id": happened.response()}
    agent = happened.agent()
    happened.llm(agent, used=Used(1000, 100), scope="one", **response)
    happened.llm(agent, used=CALL, scope="two", at=1, **response)
    return Expected({None: CALL}, llm_calls=1)


@shape
def only_the_later_has_usage(happened: Happened) -> Expected:
    """A span without usage is the same call, not one more of unknown cost."""
    response = {"gen_ai.response.id": happened.response()}
    agent = happened.agent()
    happened.llm(agent, scope="one", **response)
    happened.llm(agent, used=CALL, scope="two", at=1, **response)
    return Expected({None: CALL}, llm_calls=1)


@shape
def one_names_the_provider_the_other_the_model(happened: Happened) -> Expected:
    """What was called stands on neither span, and has its price."""
    response = {"gen_ai.response.id": happened.response()}
    dated = {"gen_ai.response.model": "gpt-4o-2024-08-06"}
    agent = happened.agent()
    happened.llm(
        agent, used=CALL, scope="openinference", gen_ai__provider__name=None, **dated, **response
    )
    happened.llm(agent, used=CALL, scope="litellm", at=1, **response)
    return Expected({None: CALL}, llm_calls=1, call={"provider": "openai"} | _model("2024-08-06"))


@shape
def a_client_that_names_its_protocol_around_a_gateway(happened: Happened) -> Expected:
    """The inner span knows who sold the answer, the outer one which model gave it."""
    outer = happened.llm(
        happened.agent(), used=CALL, scope="sdk", gen_ai__provider__name="anthropic",
        gen_ai__response__model="gpt-4o-2024-11-20",
    )  # fmt: skip
    happened.llm(outer, used=CALL, scope="litellm", at=1, took=90)
    return Expected({None: CALL}, llm_calls=1, call={"provider": "openai"} | _model("2024-11-20"))


@shape
def the_first_names_a_gateway_as_the_provider(happened: Happened) -> Expected:
    """The price list has no prices of the gateway's: who served the model is named by the other."""
    return _through(happened, "portkey")


@shape
def the_first_names_litellm_as_the_provider(happened: Happened) -> Expected:
    """Though the price list has what is not LiteLLM's under its name, too."""
    return _through(happened, "litellm")


@shape
def the_client_names_a_proxys_alias(happened: Happened) -> Expected:
    """Only the proxy's span, in a trace of its own, says which model and whose is behind it."""
    alias = {"gen_ai.request.model": "fast", "gen_ai.response.model": "fast"}
    response = {"gen_ai.response.id": happened.response()}
    happened.llm(happened.agent(), used=CALL, scope="sdk", **response | alias)
    happened.llm(
        used=CALL, scope="litellm", service="proxy", at=1, gen_ai__provider__name="azure.ai.openai",
        gen_ai__response__model="fast", **response,
    )  # fmt: skip
    return Expected({None: CALL}, llm_calls=1, call={
        "provider": "azure.ai.openai", "request_model": "gpt-4o", "response_model": "fast",
    })  # fmt: skip


@shape
def the_proxy_names_what_answered_by_its_alias(happened: Happened) -> Expected:
    """The proxy, too, was asked for its alias, and alone says what answered."""
    agent, response = happened.agent(), {"gen_ai.response.id": happened.response()}
    alias = {"gen_ai.request.model": "fast", "gen_ai.response.model": "fast"}
    happened.llm(agent, used=CALL, scope="sdk", **response | alias)
    answered = response | alias | {"gen_ai.response.model": "gpt-4o"}
    happened.llm(agent, used=CALL, scope="gateway", at=1, **answered)
    call = {"provider": "openai", "request_model": "fast", "response_model": "gpt-4o"}
    return Expected({None: CALL}, llm_calls=1, call=call)


@shape
def both_name_a_provider_with_a_price(happened: Happened) -> Expected:
    """Then the first is believed."""
    agent, response = happened.agent(), {"gen_ai.response.id": happened.response()}
    happened.llm(agent, used=CALL, scope="sdk", **response)
    happened.llm(
        agent, used=CALL, scope="other", at=1, gen_ai__provider__name="azure.ai.openai", **response
    )
    return Expected({None: CALL}, llm_calls=1, call={"provider": "openai"})


@shape
def the_other_span_knows_more(happened: Happened) -> Expected:
    """The first token, the finish reason and the user are taken from the twin that has them."""
    response = {"gen_ai.response.id": happened.response()}
    agent = happened.agent()
    happened.llm(agent, used=CALL, scope="one", gen_ai__response__finish_reasons=None, **response)
    happened.llm(
        agent, scope="two", at=1, gen_ai__response__time_to_first_chunk=0.25,
        gen_ai__response__finish_reasons=["length"], user__id="ann", **response,
    )  # fmt: skip
    return Expected(
        {None: CALL}, llm_calls=1,
        call={"ttfb_ms": 250.0, "finish_reason": "length", "user_id": "ann"},
    )  # fmt: skip


@shape
def context_lost_between_instrumentations(happened: Happened) -> Expected:
    """The second instrumentation began a trace of its own: one call, one run."""
    response = {"gen_ai.response.id": happened.response()}
    happened.llm(happened.agent(tenant__id="acme"), used=CALL, scope="one", at=1, **response)
    happened.llm(used=CALL, scope="two", at=2, **response)
    return Expected({"acme": CALL}, llm_calls=1, runs=(("acme", "success"),))


@shape
def gateway_in_a_trace_of_its_own(happened: Happened) -> Expected:
    """A gateway whose clock is behind does not take the call from the agent, nor its tenant."""
    response = {"gen_ai.response.id": happened.response()}
    agent = happened.agent(tenant__id="acme", at=10)
    happened.llm(agent, used=CALL, scope="sdk", at=11, **response)
    server = happened.span("POST /v1", kind="server", service="gateway", scope="litellm", at=0)
    happened.llm(
        server, used=CALL, service="gateway", scope="litellm", at=1, tenant__id="gateway-team",
        **response,
    )  # fmt: skip
    return Expected({"acme": CALL}, llm_calls=1, runs=(("acme", "success"),))


@shape
def only_the_gateway_knows_the_tenant(happened: Happened) -> Expected:
    """Whom a call was for is asked of its own trace first, then of its twin."""
    response = {"gen_ai.response.id": happened.response()}
    happened.llm(happened.agent(), used=CALL, scope="sdk", **response)
    server = happened.span("POST /v1", kind="server", service="gateway", scope="litellm", at=1)
    happened.llm(
        server, used=CALL, service="gateway", scope="litellm", at=2, tenant__id="team", **response
    )
    return Expected({"team": CALL}, llm_calls=1)


@shape
def gateway_cache_hit(happened: Happened) -> Expected:
    """A gateway that answers from its cache repeats the id, hours later too: nothing is billed."""
    response = {"gen_ai.response.id": happened.response()}
    for hours in (0, 3):
        at = hours * 60 * MINUTE
        agent = happened.agent(tenant__id="acme", at=at)
        happened.llm(agent, used=CALL, at=at, scope="litellm", **response)
    return Expected({"acme": CALL}, llm_calls=1, runs=(("acme", "success"), ("acme", "success")))


@shape
def gateway_cache_hit_that_says_so(happened: Happened) -> Expected:
    """The first answer's tokens stay, though the second tells that it used none."""
    response = {"gen_ai.response.id": happened.response()}
    for at, hit in ((0, False), (3 * 60 * MINUTE, True)):
        agent = happened.agent(at=at)
        happened.llm(agent, used=CALL, at=at, scope="litellm", litellm__cache_hit=hit, **response)
    return Expected({None: CALL}, llm_calls=1, runs=((None, "success"),) * 2)


@shape
def gateway_cache_hit_whose_first_answer_is_gone(happened: Happened) -> Expected:
    """Nothing was used, whatever the caller's own span says of the answer it got."""
    response = {"gen_ai.response.id": happened.response()}
    caller = happened.llm(happened.agent(), used=CALL, scope="sdk", **response)
    server = happened.span("POST /v1", caller, kind="server", service="gateway", scope="litellm")
    happened.llm(
        server, used=CALL, service="gateway", scope="litellm", litellm__cache_hit=True, **response
    )
    return Expected({None: Used()}, llm_calls=1)


@shape
def ids_from_a_small_pool(happened: Happened) -> Expected:
    """Ollama draws ids like chatcmpl-123: another count, or a later minute, is another call."""
    for at, used in ((0, CALL), (1, SECOND), (5 * MINUTE, CALL)):
        happened.llm(happened.agent(at=at), used=used, at=at, gen_ai__response__id="chatcmpl-123")
    total = Used(*(2 * part for part in (2000, 200, 800)))
    return Expected({None: total}, llm_calls=3, runs=((None, "success"),) * 3)


@shape
def a_span_delivered_twice(happened: Happened) -> Expected:
    """A retried export doubles nothing, with a response id or without."""
    agent = happened.agent()
    first = happened.llm(agent, used=CALL)
    second = happened.llm(agent, used=CALL, gen_ai__response__id=happened.response())
    for span in (agent, first, second):
        happened.again(span)
    return Expected({None: SECOND}, llm_calls=2)


@shape
def a_span_delivered_twice_on_two_days(happened: Happened) -> Expected:
    """The second copy has another time, so that it lies in another partition: still one span."""
    agent = happened.agent()
    call = happened.llm(agent, used=CALL)
    happened.again(
        call,
        start_time_unix_nano=call.start_time_unix_nano + 86_400 * 10**9,
        end_time_unix_nano=call.end_time_unix_nano + 86_400 * 10**9,
    )
    return Expected({None: CALL}, llm_calls=1)


@shape
def a_span_sent_before_it_ended(happened: Happened) -> Expected:
    """A copy sent when the span began knows little; the whole one stands."""
    agent = happened.agent(took=900)
    call = happened.llm(agent, used=CALL, gen_ai__response__id=happened.response())
    for span in (agent, call):
        early = happened.again(span, end_time_unix_nano=span.start_time_unix_nano)
        kept = [pair for pair in early.attributes if pair.key == "gen_ai.operation.name"]
        del early.attributes[:]
        early.attributes.extend(kept)
    return Expected(
        {None: CALL}, llm_calls=1, run={"duration_ms": 900.0}, call={"finish_reason": "stop"}
    )


def _model(dated: str) -> dict[str, str]:
    return {"request_model": "gpt-4o", "response_model": f"gpt-4o-{dated}"}


def _through(happened: Happened, gateway: str) -> Expected:
    agent, response = happened.agent(), {"gen_ai.response.id": happened.response()}
    happened.llm(agent, used=CALL, scope="sdk", gen_ai__provider__name=gateway, **response)
    happened.llm(agent, used=CALL, scope="openinference", at=1, **response)
    return Expected({None: CALL}, llm_calls=1, call={"provider": "openai"})
