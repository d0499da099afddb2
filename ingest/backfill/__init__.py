"""Backfill: files of telemetry come in, OTLP requests to the receiver go out.

Comes in: what the collector's file exporter wrote, OTLP protobuf, JSON lines of structlog.
Goes out: requests of about 1 MiB to a receiver's OTLP/HTTP endpoint, in the order of the file; how
far a file is acknowledged is kept under `state/imports/` of the data directory.
Never: writes journal or lake itself; passes over a byte that was neither acknowledged nor reported;
holds more of a file in memory than one batch or one message.

`content` opens and decompresses, `recognise` tells the format, `frames` cuts the stream into
messages or lines, `otlp` and `structlog_lines` make pieces of requests of them, `sender` POSTs,
`progress` remembers, and `run` takes one file through all of it.
"""
