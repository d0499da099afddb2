"""The receiver: OTLP requests come in over HTTP and gRPC, durable journal records go out.

Comes in: export requests for traces, logs and metrics (protobuf, JSON; gzip, deflate, zstd).
Goes out: records in the journal, and the answer that OTLP prescribes for each request.
Never: answers success before the batch is on disk; answers anything that makes a client drop
a batch which could be stored later; lets one sender's bad records harm another's good ones.

`http` and `grpc` speak the transports (`grpc_connection` the HTTP/2 below, so that every byte of an
upload is accounted for as it comes), `intake` decides about one request whatever carried it,
`decode` turns bytes into checked records, `server` holds the process together.
"""
