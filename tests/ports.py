"""Ports for servers that are told where to listen, and told again after a restart."""

import random
import socket

NEVER_OF_CONNECTIONS = range(20_000, 32_768)
"""Below the ports that Linux gives to outgoing connections: one of those may take any of them
between the moment it was found free and the moment a server listens there."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    while True:
        port = random.SystemRandom().choice(NEVER_OF_CONNECTIONS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
