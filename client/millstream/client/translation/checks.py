"""What can be wrong with a stream graph as a whole, told in the user's lines before anything is sent."""

from __future__ import annotations

from millstream.core.errors import JobGraphError
from millstream.core.graph.specs import SourceSpec
from millstream.core.graph.stream_graph import Exchange, StreamGraph, StreamNode

MAX_PARALLELISM_LIMIT = 32768


def check_graph(graph: StreamGraph) -> None:
    """Raise ``JobGraphError`` for the first thing that makes the job impossible."""
    if not graph.nodes:
        raise JobGraphError(
            "the job is empty: the program defined no stream before execute. Start with a source, such as "
            "env.from_collection(...) or env.read_text(...)."
        )
    if not graph.edges:
        source = next(iter(graph.nodes.values()))
        raise JobGraphError(
            f"the job does nothing: no operator reads {describe(source)}. Add a transformation or a sink, such as "
            f".print()."
        )
    _check_uids(graph)
    for node in graph.nodes.values():
        if not graph.inputs_of(node.node_id) and not isinstance(node.spec, SourceSpec):
            raise JobGraphError(f"operator {describe(node)} has no input.")
        limit = node.spec.source.parallelism_max if isinstance(node.spec, SourceSpec) else None
        if limit is not None and node.parallelism > limit:
            raise JobGraphError(
                f"source {describe(node)} has parallelism {node.parallelism}, but can be read by {limit} at most. "
                f"Remove set_parallelism; call rebalance() behind it to spread its records."
            )
    for edge in graph.edges:
        source, target = graph.nodes[edge.source], graph.nodes[edge.target]
        if edge.exchange is Exchange.FORWARD and source.parallelism != target.parallelism:
            raise JobGraphError(
                f"forward() from {describe(source)} to {describe(target)} needs the same parallelism on both sides, "
                f"not {source.parallelism} and {target.parallelism}. Use rebalance() or rescale(), or set the same."
            )


def effective_max_parallelism(graph: StreamGraph, default: int) -> dict[int, int]:
    """The number of key groups of each node.

    Unset ones have ``default``, or what fits a larger parallelism: half as much again, as a power of two.
    """
    return {node_id: _max_parallelism(node, default) for node_id, node in graph.nodes.items()}


def describe(node: StreamNode) -> str:
    """An operator as messages name it: ``'map' (job.py:12)``."""
    return f"{node.name!r} ({node.defined_at})" if node.defined_at else repr(node.name)


def _max_parallelism(node: StreamNode, default: int) -> int:
    if node.max_parallelism is None:
        if node.parallelism <= default:
            return default
        return min(MAX_PARALLELISM_LIMIT, 1 << (node.parallelism + node.parallelism // 2 - 1).bit_length())
    if node.parallelism > node.max_parallelism:
        raise JobGraphError(
            f"operator {describe(node)} has parallelism {node.parallelism}, above its max parallelism "
            f"{node.max_parallelism}. Lower the one with set_parallelism or raise the other with set_max_parallelism."
        )
    return node.max_parallelism


def _check_uids(graph: StreamGraph) -> None:
    seen: dict[str, StreamNode] = {}
    for node in graph.nodes.values():
        if node.uid is None:
            continue
        other = seen.setdefault(node.uid, node)
        if other is not node:
            raise JobGraphError(
                f"the uid {node.uid!r} is given to two operators, {describe(other)} and {describe(node)}. "
                f"A uid must be unique in its job: it tells where state belongs."
            )
