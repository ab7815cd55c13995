"""Where a slot says that others reach its data plane."""

from __future__ import annotations

import contextlib
from pathlib import Path

from millstream.core.clock import ManualClock
from millstream.taskmanager.network.reactor import Reactor
from millstream.taskmanager.slot.bootstrap import SlotBootstrap
from millstream.taskmanager.slot.main import network_of


def test_other_machines_are_told_the_name_of_this_one_and_not_what_it_is_bound_to(tmp_path: Path) -> None:
    with contextlib.closing(Reactor()) as reactor:
        bootstrap = SlotBootstrap(0, 0, "tm", "host", "", "0.0.0.0", 0, str(tmp_path), 1.0, {}, "worker-7")
        assert network_of(bootstrap, reactor, ManualClock()).address.tcp_host == "worker-7"
