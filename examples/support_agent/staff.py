"""Who may do what: customers talk to the agent in their own threads, and only staff answers what it
asks.

A thread is its user's whose id it begins with, as `ada:t1` is ada's; others do not learn that it is
there. For all that the runtime knows, a thread is the tenant's.

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
    """Tenant and user of a request.

    :raises HTTPException: for another user's thread, or an answer that is not staff's.
    """
    tenant, user = identity_from_headers(request)
    if request.path_params["thread_id"].rpartition(":")[0] != user:
        raise HTTPException(404, f"no such thread; yours begin with {user}: as {user}:t1 does")
    said = json.loads(await request.body() or b"null") if request.method == "POST" else None
    if isinstance(said, dict) and "value" in said and not _is_staff(request):
        raise HTTPException(403, "only staff answers this; send the right X-Staff-Token")
    return tenant, user


def _is_staff(request: Request) -> bool:
    token = request.headers.get("X-Staff-Token", "")
    return bool(STAFF_TOKEN) and hmac.compare_digest(token.encode(), STAFF_TOKEN.encode())
