"""The web application: routes, their parameters, and what is answered when something is wrong."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import anyio
import structlog
from anyio.to_thread import run_sync
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from analytics import Analytics, Slo
from analytics.alerts import AlertHistory
from dashboards.build import LakeUnreadableError, build_overview, check_readable
from dashboards.headers import SecurityHeaders
from dashboards.overview import Overview
from dashboards.pages import Endpoints, Pages, Selection
from dashboards.ranges import DEFAULT_RANGE, RangeName
from dashboards.single_flight import SingleFlight

KEEP_ANSWER_S = 2.0
CONCURRENT_EVALUATIONS = 2
STATIC = Path(__file__).parent / "static"

log = structlog.get_logger(__name__)


class Parameters(BaseModel):
    """The query parameters of the overview, in every form it comes in."""

    model_config = ConfigDict(extra="forbid")

    range: RangeName = Field(DEFAULT_RANGE, description="How far to look back from now.")
    tenant: str = Field("", max_length=256, description="Only this tenant; empty for all.")

    def selection(self) -> Selection:
        return Selection(self.range, self.tenant or None)


class Problem(BaseModel):
    """What went wrong."""

    error: str = Field(description="One line: the thing, the value and the remedy.")


class Health(BaseModel):
    """An affirmative answer to a probe."""

    status: str = Field(default="ok", description="Always ok.")


Chosen = Annotated[Parameters, Query()]


def create_app(
    analytics: Analytics,
    slos: Sequence[Slo],
    alerts: AlertHistory,
    *,
    endpoints: Endpoints = Endpoints(),  # noqa: B008 - frozen
) -> FastAPI:
    """The dashboard as an ASGI application.

    :param analytics: answers every question; called from worker threads, never on the event loop.
    :param slos: the cards of the overview, in this order.
    :param alerts: what fires and what fired.
    :param endpoints: where the empty page tells people to send their first span.
    """
    app = FastAPI(
        title="Quietpager",
        description="SLOs, alerts, tool errors and cost of AI agents, as the overview shows them.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # these pages load their scripts from the internet
        redoc_url=None,
    )
    pages = Pages(endpoints)
    evaluations = anyio.CapacityLimiter(CONCURRENT_EVALUATIONS)

    async def evaluate(selection: Selection) -> Overview:
        evaluation = partial(
            build_overview, analytics, slos, alerts, selection, now=datetime.now(UTC)
        )
        return await run_sync(evaluation, limiter=evaluations)

    async def probe(_: None) -> None:
        check = partial(check_readable, analytics, now=datetime.now(UTC))
        await run_sync(check, limiter=evaluations)

    overviews = SingleFlight(evaluate, keep_s=KEEP_ANSWER_S)
    probes = SingleFlight(probe, keep_s=KEEP_ANSWER_S)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def overview_page(chosen: Chosen) -> HTMLResponse:
        selection = chosen.selection()
        try:
            return HTMLResponse(pages.overview(selection, await overviews.get(selection)))
        except LakeUnreadableError as error:
            return HTMLResponse(
                pages.unreadable(selection, str(error)), HTTPStatus.SERVICE_UNAVAILABLE
            )

    @app.get("/fragments/overview", response_class=HTMLResponse, include_in_schema=False)
    async def overview_fragment(chosen: Chosen) -> HTMLResponse:
        selection = chosen.selection()
        return HTMLResponse(pages.overview_part(selection, await overviews.get(selection)))

    @app.get(
        "/api/overview",
        responses={
            HTTPStatus.UNPROCESSABLE_ENTITY: {"model": Problem, "description": "Bad parameter"},
            HTTPStatus.SERVICE_UNAVAILABLE: {"model": Problem, "description": "Lake unreadable"},
        },
    )
    async def overview_json(chosen: Chosen) -> Overview:
        """The numbers of the overview page."""
        return await overviews.get(chosen.selection())

    @app.get("/healthz")
    async def healthz() -> Health:
        """The process answers."""
        return Health()

    @app.get(
        "/readyz",
        responses={
            HTTPStatus.SERVICE_UNAVAILABLE: {"model": Problem, "description": "Lake unreadable"}
        },
    )
    async def readyz() -> Health:
        """The lake can be read."""
        await probes.get(None)
        return Health()

    @app.exception_handler(LakeUnreadableError)
    async def unreadable(request: Request, error: LakeUnreadableError) -> Response:
        return refuse(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    @app.exception_handler(RequestValidationError)
    async def bad_parameter(request: Request, error: RequestValidationError) -> Response:
        return refuse(request, HTTPStatus.UNPROCESSABLE_ENTITY, _in_one_line(error))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return refuse(request, HTTPStatus(error.status_code), error.detail)

    def refuse(request: Request, status: HTTPStatus, detail: str) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(pages.failure(status.phrase, detail), status)
        return JSONResponse({"error": detail}, status)

    app.add_middleware(SecurityHeaders)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _in_one_line(error: RequestValidationError) -> str:
    """Every fault of the parameters: which one, what it was, what it may be."""
    faults = []
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"][1:])
        if fault["type"] == "extra_forbidden":
            known = ", ".join(Parameters.model_fields)
            faults.append(f"{name}: unknown parameter; known are {known}")
        else:
            value = str(fault["input"])[:40]
            faults.append(f"{name}={value!r}: {fault['msg'][:1].lower()}{fault['msg'][1:]}")
    return "; ".join(faults)
