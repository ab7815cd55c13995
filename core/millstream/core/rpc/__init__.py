"""gRPC plumbing that every component shares: who may call, in which version, with which deadlines, failing how."""
