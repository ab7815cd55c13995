"""The job of latency.py: map -> key_by -> map at a fixed rate; each record carries when it was due."""

import sys
import time

from millstream.datastream import StreamExecutionEnvironment
from millstream.datastream.functions import MapFunction


class Stamp(MapFunction):
    """Record ``i`` leaves with the wall-clock time, in microseconds, at which it entered the first map."""

    def map(self, value: int) -> tuple[int, int]:
        return value % 1000, time.time_ns() // 1000


class Arrive(MapFunction):
    def map(self, value: tuple[int, int]) -> int:
        return time.time_ns() // 1000 - value[1]


def main() -> None:
    rate, seconds = int(sys.argv[1]), int(sys.argv[2])
    env = StreamExecutionEnvironment.get_execution_environment()
    latencies = (
        env.from_sequence(0, rate * seconds - 1, rows_per_second=rate)
        .map(Stamp())
        .key_by(lambda pair: pair[0])
        .map(Arrive())
    )
    with latencies.execute_and_collect("latency") as results:
        values = sorted(list(results)[rate:])  # the first second warms up
    for percent in (50, 95, 99, 99.9, 100):
        index = min(len(values) - 1, int(len(values) * percent / 100))
        print(f"p{percent:<5} {values[index] / 1000:8.2f} ms")


if __name__ == "__main__":
    main()
