"""How many connections each transport may hold: open files are counted by the system."""

import resource

MOST_CONNECTIONS = 2000
"""Of each transport. A connection that holds no request is some 50 KiB."""

_OTHER_FILES = 128  # journals, ledger, libraries
_TRANSPORTS = 2


def allowed_connections() -> int:
    """How many connections a transport may hold, after the limit of open files was raised to it.

    Connections over it would take the files that the journal needs, and senders would be told of
    a disk that refuses.
    """
    wanted = _TRANSPORTS * MOST_CONNECTIONS + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(1, (soft - _OTHER_FILES) // _TRANSPORTS))
