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

from analytics.engine import QueryError
from analytics.front import Analytics
from analytics.prices import PriceError, PriceOverride
from analytics.questions import VIEWS, UnknownQuestion, questions
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
