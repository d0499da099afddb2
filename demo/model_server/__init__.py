"""A model vendor that runs on this machine: speaks OpenAI and Anthropic, scripted, with a ledger.

Comes in: `POST /v1/chat/completions`, `/v1/responses` or `/v1/messages`, streamed or not, with
tools or without; rules that say how to answer, as `Rule`s or by `PUT /rules`.
Goes out: answers, and the faults that real vendors have: slow first tokens, 429 with
Retry-After, 5xx, streams that are cut or stall. `GET /ledger` lists every call with the tokens it
billed, the independent book against which costs are checked.
Never: guesses. The same script, seed and calls give the same texts, tokens and ids.

    python -m demo.model_server --port 8001
"""

from demo.model_server.ledger import Call, Ledger
from demo.model_server.rules import Behaviour, Rule, ToolCall
from demo.model_server.server import ModelServer, running

__all__ = ["Behaviour", "Call", "Ledger", "ModelServer", "Rule", "ToolCall", "running"]
