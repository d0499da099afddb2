"""Who may do what: customers talk to the agent, and only staff answers what it asks.

The run that a colleague lets go on is the customer's still. That a colleague it was, their token
says; without this check customers would approve their own refunds.
"""

import hmac
import json
import os

from fastapi import HTTPException, Request

from agent_runtime import identity_from_headers

STAFF_TOKEN = os.environ.get("STAFF_TOKEN", "")
"""What colleagues send as `X-Staff-Token`. Without one, nobody answers."""


async def caller(request: Request) -> tuple[str, str]:
    """Tenant and user of a request. :raises HTTPException: for an answer that is not staff's."""
    said = json.loads(await request.body() or b"null") if request.method == "POST" else None
    if isinstance(said, dict) and "value" in said and not _is_staff(request):
        raise HTTPException(403, "only staff answers this; send the right X-Staff-Token")
    return identity_from_headers(request)


def _is_staff(request: Request) -> bool:
    token = request.headers.get("X-Staff-Token", "")
    return bool(STAFF_TOKEN) and hmac.compare_digest(token.encode(), STAFF_TOKEN.encode())
