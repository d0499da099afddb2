"""A support agent to copy: it searches, pays money back, and remembers customers if it can.

`agent.py` and `shop_client.py` are the agent; `shop.py` stands in for the shop's services, and
`python -m examples.support_agent` runs everything on this machine.
"""
