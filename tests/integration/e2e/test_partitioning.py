"""Every way of partitioning, through two TaskManagers: right records, at the right subtasks."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

ROWS = 2000
JOB = """
import json
from millstream.datastream.functions import MapFunction, RuntimeContext

class Where(MapFunction):
    '''Where a record was before, and where it is now.'''
    def open(self, runtime_context: RuntimeContext):
        self.here = runtime_context.get_index_of_this_subtask()
    def map(self, value):
        return (value, self.here) if isinstance(value, int) else (*value, self.here)

found = {}
"""
RUN = """
rows = env.from_sequence(0, {last}).set_parallelism(2).rebalance().map(Where()).set_parallelism({before})
with rows.{how}.map(Where()).set_parallelism({after}).execute_and_collect("{name}") as collected:
    found["{name}"] = list(collected)
"""
WAYS = {
    "forward": ("forward()", 3, 3),
    "hash": ("key_by(lambda row: row[0] % 50)", 3, 4),
    "rebalance": ("rebalance()", 3, 4),
    "rescale": ("rescale()", 2, 4),
    "shuffle": ("shuffle()", 3, 4),
    "broadcast": ("broadcast()", 2, 3),
    "global": ("global_()", 4, 3),
    "custom": ("partition_custom(lambda key, n: key % n, lambda row: row[0] // 7)", 3, 4),
}


@pytest.fixture(scope="module")
def programs() -> str:
    parts = [
        RUN.format(last=ROWS - 1, how=how, before=before, after=after, name=name)
        for name, (how, before, after) in WAYS.items()
    ]
    return JOB + "".join(parts) + "print(json.dumps(found))\n"


def test_every_partitioner(shell: Any, start_cluster: Callable[..., Any], programs: str) -> None:
    start_cluster(2, 2)
    found = json.loads(shell.run("run", "-q", shell.script(programs), timeout_s=150).expect(0).out)
    placed: dict[str, dict[int, list[tuple[int, int]]]] = {}
    for name, rows in found.items():
        placed[name] = defaultdict(list)
        for value, before, after in rows:
            placed[name][value].append((before, after))
        copies = 3 if name == "broadcast" else 1
        assert sorted(placed[name]) == list(range(ROWS)), name
        assert all(len(places) == copies for places in placed[name].values()), name

    assert all(before == after for [(before, after)] in placed["forward"].values())
    owner = {value % 50: after for value, [(_, after)] in placed["hash"].items()}
    assert all(owner[value % 50] == after for value, [(_, after)] in placed["hash"].items())
    assert set(owner.values()) == {0, 1, 2, 3}
    assert all(after == 0 for [(_, after)] in placed["global"].values())
    assert all(after == (value // 7) % 4 for value, [(_, after)] in placed["custom"].items())
    assert all({after for _, after in places} == {0, 1, 2} for places in placed["broadcast"].values())
    assert all(after // 2 == before for [(before, after)] in placed["rescale"].values()), "two consumers a producer"
    for name in ("rebalance", "rescale"):
        counts = [sum(after == i for [(_, after)] in placed[name].values()) for i in range(4)]
        assert max(counts) - min(counts) <= 8, (name, counts)
    shuffled = [sum(after == i for [(_, after)] in placed["shuffle"].values()) for i in range(4)]
    assert min(shuffled) > ROWS / 4 * 0.7, shuffled
