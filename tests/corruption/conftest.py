"""One cluster and one corpus for all tests here; the modules beside this one are importable by their full names."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if TYPE_CHECKING:
    from millstream.testing import MiniCluster
    from tests.corruption.corpus import Corpus


@pytest.fixture(autouse=True)
def nothing_left_running() -> None:
    """A cluster outlives a test here, with other processes."""


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="corruption-") as temporary:
        yield Path(temporary)


@pytest.fixture(scope="module")
def mini(directory: Path) -> Iterator[MiniCluster]:
    from tests.corruption.corpus import cluster

    with cluster(directory) as started:
        yield started


@pytest.fixture(scope="module")
def corpus(mini: MiniCluster, directory: Path) -> Corpus:
    from tests.corruption.corpus import Corpus

    made = Corpus(mini, directory)
    made.make()
    return made
