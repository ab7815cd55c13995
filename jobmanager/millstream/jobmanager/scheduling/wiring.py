"""Who sends to whom: from edges of the plan to channels between subtasks."""

from __future__ import annotations

from millstream.core.graph.exchanges import POINTWISE


def consumers_of(exchange: int, producer: int, producers: int, consumers: int) -> list[int]:
    """Indices of the consumer subtasks that ``producer`` of ``producers`` feeds, ascending."""
    if exchange not in POINTWISE:
        return list(range(consumers))
    return [
        consumer for consumer in range(consumers) if producer in producers_of(exchange, consumer, producers, consumers)
    ]


def producers_of(exchange: int, consumer: int, producers: int, consumers: int) -> list[int]:
    """Indices of the producer subtasks that feed ``consumer`` of ``consumers``, ascending.

    Rescale connects contiguous groups: with 2 producers and 4 consumers, producer 0 feeds consumers 0 and 1.
    """
    if exchange not in POINTWISE:
        return list(range(producers))
    if producers <= consumers:
        return [consumer * producers // consumers]
    return [producer for producer in range(producers) if producer * consumers // producers == consumer]
