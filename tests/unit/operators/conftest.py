"""Snapshots of some subtasks, dealt out to others as a JobManager does when the parallelism changes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence

import cloudpickle
import pytest

from millstream.taskmanager.operators.snapshots import OperatorSnapshot

Rescale = Callable[[Sequence[bytes], int], list[bytes]]


@pytest.fixture
def rescale() -> Rescale:
    """``rescale(snapshots of the harnesses, new parallelism)``; for state without keys."""
    return _rescale


def _rescale(snapshots: Sequence[bytes], parallelism: int) -> list[bytes]:
    former: list[OperatorSnapshot] = [pickle.loads(snapshot) for snapshot in snapshots]
    assert not any(snapshot.keyed for snapshot in former)
    dealt = [OperatorSnapshot() for _ in range(parallelism)]
    items = [(name, piece) for snapshot in former for name, pieces in snapshot.items.items() for piece in pieces]
    for number, (name, piece) in enumerate(items):
        dealt[number % parallelism].items.setdefault(name, []).append(piece)
    for snapshot in former:
        for name, pieces in snapshot.union.items():
            for new in dealt:
                new.union.setdefault(name, []).extend(pieces)
    return [cloudpickle.dumps(snapshot) for snapshot in dealt]
