"""What the exchanges of edges have in common."""

from __future__ import annotations

from typing import Final

from millstream.proto.v1 import job_graph_pb2

POINTWISE: Final = frozenset({job_graph_pb2.EXCHANGE_FORWARD, job_graph_pb2.EXCHANGE_RESCALE})
"""A subtask sends to some consumers only."""
