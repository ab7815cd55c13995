"""The Millstream side of keyed_sum.py: millstream run -p N benchmarks/keyed_sum_job.py FILE python|builtin|map"""

import sys

import orjson

from millstream.datastream import StreamExecutionEnvironment


def parse(line: str) -> tuple[int, int]:
    bid = orjson.loads(line)
    return bid["auction"], bid["price"]


def add(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    return first[0], first[1] + second[1]


def main() -> None:
    path, variant = sys.argv[1], sys.argv[2]
    env = StreamExecutionEnvironment.get_execution_environment()
    if variant == "builtin":
        bids = env.read_json(path, schema={"auction": int, "price": int})
        bids.key_by("auction").sum("price").discard()
    else:
        pairs = env.read_text(path).map(parse)
        (pairs if variant == "map" else pairs.key_by(lambda pair: pair[0]).reduce(add)).discard()
    result = env.execute(f"keyed sum ({variant})")
    print(f"runtime_ms {result.get_net_runtime()}")


if __name__ == "__main__":
    main()
