"""What ingest takes out of telemetry before it is stored, whatever the collector let through.

Comes in: rows as the sender has them, with the columns already taken from their attributes.
Goes out: the same rows without prompts, completions, tool arguments and results, with secrets
masked, and how much was dropped of which service.
Never: looks into ids or token counts; writes down what it dropped.
"""
