"""Where to listen, as people write it: ``127.0.0.1:4318``, ``[::1]:4318``."""

import errno
import os
import socket
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Address:
    """A host to bind and a TCP port; port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """:raises ValueError: when it is not HOST:PORT, with what to write instead."""
        host, colon, port = text.strip().rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not colon or not host or (":" in host and not bracketed):
            raise ValueError(f"{text!r} is not HOST:PORT; write e.g. 127.0.0.1:4318 or [::1]:4318")
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text!r} has no port from 0 to 65535; write e.g. {host}:4318")
        return cls(host[1:-1] if bracketed else host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Unavailable(Exception):  # noqa: N818 - it names what is the case
    """Nobody can listen there; the message says why."""


def reserve(address: Address) -> Address:
    """``address`` with a port that is free now, also of listeners that would share theirs.

    :raises Unavailable: when it cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        socket.getaddrinfo(address.host, address.port, family)
        with socket.create_server((address.host, address.port), family=family) as free:
            return Address(address.host, free.getsockname()[1])
    except socket.gaierror:
        raise Unavailable(f"{address.host!r} is not an address of this machine") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(f"port {address.port} is in use") from None
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise Unavailable(reason[:1].lower() + reason[1:]) from None
