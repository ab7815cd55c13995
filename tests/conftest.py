"""Checks around every test: no process, thread or socket is left behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import settings

GRACE_S = 10.0

# How long an example takes says nothing: machines are shared, and kernels are compiled at their first call.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Child processes and non-daemon threads that a test starts must end with it."""
    process = psutil.Process(os.getpid())
    children_before = {child.pid for child in process.children(recursive=True)}
    threads_before = set(threading.enumerate())
    yield
    started = [child for child in process.children(recursive=True) if child.pid not in children_before]
    _, alive = psutil.wait_procs(started, timeout=GRACE_S)
    names = [f"{child.pid} {' '.join(child.cmdline()[:6])}" for child in alive if child.is_running()]
    for child in alive:
        child.kill()
    assert not names, f"the test left processes running: {names}"
    for thread in set(threading.enumerate()) - threads_before:
        if not thread.daemon:
            thread.join(GRACE_S)
    left = [thread.name for thread in set(threading.enumerate()) - threads_before if not thread.daemon]
    assert not left, f"the test left threads running: {left}"
