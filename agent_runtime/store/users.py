"""Who uses a store: several runtimes may share one, and the last one that leaves closes it."""

from weakref import WeakSet

from agent_runtime.store import Store

_users: dict[int, WeakSet[object]] = {}
"""By id of a store. Those that are gone without leaving keep it open for nobody."""


def use(store: Store, user: object) -> None:
    """Have it stay open until the user leaves."""
    _users.setdefault(id(store), WeakSet()).add(user)


async def leave(store: Store, user: object) -> None:
    """Close it, unless others still use it."""
    users = _users.get(id(store), WeakSet())
    users.discard(user)
    if not users:
        _users.pop(id(store), None)
        await store.close()
