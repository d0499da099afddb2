"""Claims of writes in a store."""

import json
import time
from contextlib import suppress

from agent_runtime.claims import Claim, Standing
from agent_runtime.errors import StoreError
from agent_runtime.store import Store

PRUNE_EVERY_S = 3600.0


class StoredClaims:
    """Where claims are kept; each call is committed when it returns.

    Those finished more than ``keep_s`` seconds ago are forgotten, with the first claim and then
    hourly.
    """

    def __init__(self, store: Store, keep_s: float) -> None:
        self._store = store
        self._keep_s = keep_s
        self._prune_at = 0.0

    async def claim(self, claim: Claim, owner: str, lease_s: float) -> Standing | None:
        """Take a claim that nobody has. None: it is ours; otherwise the one in the way."""
        if (now := time.monotonic()) >= self._prune_at:
            self._prune_at = now + PRUNE_EVERY_S
            with suppress(StoreError):  # if the store is gone, the claim will say so
                await self.prune(self._keep_s)
        while True:
            if await self._store.execute(
                "claim_write",
                durable=True,
                idempotency_key=claim.key,
                asked_sha256=claim.asked_sha256,
                arguments_sha256=claim.arguments_sha256 or claim.asked_sha256,
                tenant_id=claim.tenant_id,
                thread_id=claim.thread_id,
                tool=claim.tool,
                owner=owner,
                lease_s=lease_s,
            ):
                return None
            # Released or forgotten in between, there is none any more.
            if (standing := await self.find(claim.key)) is not None:
                return standing

    async def find(self, key: str) -> Standing | None:
        """The claim with that key, if there is one."""
        for row in await self._store.execute("find_claim", idempotency_key=key):
            return Standing(
                row["owner"],
                row["asked_sha256"],
                row["arguments_sha256"],
                row["acts"],
                result=None if row["result"] is None else json.loads(row["result"]),
                lease_left_s=row["lease_left_s"],
            )
        return None

    async def take_over(
        self,
        key: str,
        former: str,
        owner: str,
        lease_s: float,
        *,
        acts: int,
        at_once: bool = False,
    ) -> bool:
        """Take a claim from its former owner when the lease has run out, or ``at_once``; or prolong
        one's own. For 0 seconds it is anybody's. ``acts`` is how often the write was begun."""
        return bool(
            await self._store.execute(
                "take_over_claim",
                durable=True,
                idempotency_key=key,
                former=former,
                owner=owner,
                lease_s=float(lease_s),
                acts=acts,
                at_once=at_once,
            )
        )

    async def finish(self, key: str, owner: str, result: str) -> bool:
        """Record that the write is done. False: the claim is no longer the owner's."""
        return bool(
            await self._store.execute(
                "finish_claim",
                durable=True,
                idempotency_key=key,
                owner=owner,
                result=json.dumps(result),
            )
        )

    async def release(self, key: str, owner: str) -> bool:
        """Forget a claim of the owner's: nothing was done. False: it is no longer the owner's."""
        return bool(await self._store.execute("release_claim", idempotency_key=key, owner=owner))

    async def prune(self, older_than_s: float) -> int:
        """Forget claims that were finished longer ago than that; gives how many."""
        return len(await self._store.execute("prune_claims", older_than_s=older_than_s))
