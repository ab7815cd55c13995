"""The same keyed running sum in Bytewax, with the same functions: python bytewax_keyed_sum.py FILE"""

import sys
import time

import bytewax.operators as op
import orjson
from bytewax.connectors.files import FileSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main


def parse(line):
    bid = orjson.loads(line)
    return str(bid["auction"]), bid["price"]


def add(state, value):
    total = value if state is None else state + value
    return total, total


class Discard(StatelessSinkPartition):
    def write_batch(self, items):
        pass


class DiscardSink(DynamicSink):
    def build(self, step_id, worker_index, worker_count):
        return Discard()


flow = Dataflow("keyed_sum")
lines = op.input("lines", flow, FileSource(sys.argv[1], batch_size=1000))
pairs = op.map("parse", lines, parse)
sums = op.stateful_map("sum", pairs, add)
op.output("out", sums, DiscardSink())

started = time.perf_counter()
run_main(flow)
print(f"runtime_ms {round((time.perf_counter() - started) * 1000)}")
