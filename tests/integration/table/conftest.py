"""A table environment on an embedded cluster that all tests of a file share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from millstream.client.session import Session, set_current_session
from millstream.core.config import load
from millstream.table import EnvironmentSettings, TableEnvironment

GRACE_S = 10.0
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def nothing_left_running() -> None:
    """In place of the check around every test: slots of the shared cluster start and end when jobs need them."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Session]:
    """Two slots; nothing of it is left behind."""
    session = Session(load(overrides={"taskmanager.numberOfTaskSlots": 2, "parallelism.default": 2}))
    set_current_session(session)
    process = psutil.Process()
    before = set(process.children(recursive=True))
    yield session
    session.close()
    set_current_session(None)
    _, alive = psutil.wait_procs(set(process.children(recursive=True)) - before, timeout=GRACE_S)
    assert not alive


@pytest.fixture
def env(cluster: Session) -> TableEnvironment:
    return TableEnvironment.create()


@pytest.fixture
def batch(cluster: Session) -> TableEnvironment:
    return TableEnvironment.create(EnvironmentSettings.in_batch_mode())
