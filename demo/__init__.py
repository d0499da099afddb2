"""The whole pipeline on live agent traffic, on one machine without network.

Comes in: nothing. It starts the sidecar by the public command line, the scripted model vendor
(`demo.model_server`), agents on the real `agent_runtime` (`demo.agent`), users who ask them for
help (`demo.traffic`), and a receiver of alerts (`demo.webhook`).
Goes out: progress on stderr; on stdout the answers of `quietpager slo`, `tools`, `cost` and
`alerts`, and the dashboard's address while it stays up.
Never: reaches into the sidecar: what it shows, a user can do.
"""

from demo.play import run_demo
from demo.processes import DemoFailed

__all__ = ["DemoFailed", "run_demo"]
