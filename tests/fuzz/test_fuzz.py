"""Random and mutated bytes to every port of a real cluster: nothing dies, hangs or grows, and a job beside it is right.

``python -m tests.fuzz`` sends many more.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from millstream.core.rpc.secret import ClusterSecret
from tests.fuzz.attacks import METHODS, DataAttacker, HttpAttacker, RpcAttacker
from tests.fuzz.campaign import SHARES, campaign
from tests.fuzz.mutation import Canary, Mutator

FRAMES = 20_000
SEED = 1


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_a_cluster_goes_on_whatever_is_sent_to_its_ports() -> None:
    with campaign(SEED) as prepared:
        report = prepared.run(FRAMES)
    again = f"again: python -m tests.fuzz --frames {FRAMES} --seed {SEED}"
    assert not report.problems, f"{again}\n{report}"
    assert report.frames >= FRAMES and report.records
    kinds = {kind for kind in SHARES for name in report.sent if name.startswith(f"{kind} of")}
    assert kinds == SHARES.keys()


def test_the_same_seed_means_the_same_bytes() -> None:
    def sent(seed: int) -> list[bytes]:
        chance = random.Random(seed)
        mutator = Mutator(chance, b"canary")
        attackers = [
            DataAttacker(chance, mutator, "a" * 32, b"token"),
            HttpAttacker(chance, mutator),
        ]
        return [attacker.attack()[1].first().data for attacker in attackers for _ in range(20)]

    assert sent(1) == sent(1) != sent(2)


def test_every_method_is_called_with_every_signature() -> None:
    chance = random.Random(SEED)
    attacker = RpcAttacker(chance, Mutator(chance, b""), ClusterSecret(b"a secret of sixteen"))
    data = b"".join(attacker.attack()[1].first().data for _ in range(60))
    assert len(METHODS) > 15
    for path in METHODS:
        assert path.encode() in data


def test_the_canary_sings_where_it_is_unpickled(tmp_path: Path) -> None:
    import pickle

    bomb = Canary(tmp_path / "canary").bomb()
    assert not (tmp_path / "canary").exists()
    pickle.loads(bomb)
    assert (tmp_path / "canary").exists()
