"""Analytics: answers over a lake snapshot, in SQL.

Comes in: a `Lake`, a price list, SLO files. Goes out: answers as Arrow tables (`Analytics`), SLO
reports (`evaluate_slo`), alerts (`analytics.alerts`).
Never: writes telemetry, holds SQL in Python, counts an unknown as zero.

    analytics = Analytics(Lake(data / "lake"))
    analytics.ask("cost/by", since=monday, until=now, by="tenant,model")
    analytics.query("SELECT agent_name, COUNT(*) AS runs FROM runs GROUP BY agent_name")

The SQL lives in `sql/`: `views/` builds what users query (`runs`, `llm_calls`, `tool_calls`,
`nodes`, `usage`, `spans`, `logs`, `metrics`, `prices`) in steps on top of the lake's tables; every
other folder holds questions, one file each, which run in any DuckDB shell that has the views.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from analytics.front import Analytics
from analytics.questions import VIEWS, UnknownQuestion, questions
from analytics.statements import QueryError

if TYPE_CHECKING:
    from analytics.prices import PriceError, PriceOverride
    from analytics.report import SloReport, evaluate_slo
    from analytics.slo import Slo, SloError, load_slos

__all__ = [
    "VIEWS",
    "Analytics",
    "PriceError",
    "PriceOverride",
    "QueryError",
    "Slo",
    "SloError",
    "SloReport",
    "UnknownQuestion",
    "evaluate_slo",
    "load_slos",
    "questions",
]

_HOME = {
    "PriceError": "analytics.prices",
    "PriceOverride": "analytics.prices",
    "Slo": "analytics.slo",
    "SloError": "analytics.slo",
    "SloReport": "analytics.report",
    "evaluate_slo": "analytics.report",
    "load_slos": "analytics.slo",
}


def __getattr__(name: str) -> Any:
    """Load prices and SLO files only when they are asked for: most questions need neither."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
