"""Programs for clusters with several JobManagers."""

from __future__ import annotations

from millstream.datastream import StreamExecutionEnvironment


def squares_of(count: int) -> list[int]:
    """By a job on the cluster of this process."""
    environment = StreamExecutionEnvironment.get_execution_environment()
    numbers = environment.from_sequence(1, count).map(lambda n: n * n)
    return sorted(numbers.execute_and_collect())
