"""The dashboard: one overview page of SLOs, alerts, tool errors and cost, and its JSON.

Comes in: answers of ``analytics`` (questions, SLO evaluations, alert history).
Goes out: an ASGI application that serves HTML pages, ``/api/overview``, ``/healthz``, ``/readyz``.
Never: opens Parquet itself, computes a number, loads anything from another host.
"""

from dashboards.app import create_app
from dashboards.pages import Endpoints

__all__ = ["Endpoints", "create_app"]
