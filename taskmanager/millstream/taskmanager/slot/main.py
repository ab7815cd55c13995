"""The life of a slot process: set up, serve, end.

Forked from the fork server with all heavy imports in memory. One thread runs the task loop, one gives signs of life;
sources may add threads of their own. The process ends with ``os._exit`` so that nothing inherited from the fork server
runs a second time.
"""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import socket
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from millstream.core import protocol_log
from millstream.core.clock import Clock, SystemClock
from millstream.taskmanager.network.environment import NetworkEnvironment, NetworkSettings
from millstream.taskmanager.network.reactor import Reactor
from millstream.taskmanager.slot.beats import start_beating
from millstream.taskmanager.slot.bootstrap import SlotBootstrap
from millstream.taskmanager.slot.control import ControlChannel
from millstream.taskmanager.slot.server import SlotServer
from millstream.taskmanager.task.loop import TaskLoop

METRICS_INTERVAL_S = 1.0

GC_THRESHOLDS = (200_000, 20, 100)
"""Batches make and drop many small containers; the default thresholds would walk all live state over and over."""


def run_slot(control: socket.socket, beats: int, bootstrap: SlotBootstrap) -> NoReturn:
    """Serve as slot ``bootstrap.slot_index`` until told to stop or until the TaskManager is gone.

    ``beats``: the pipe for signs of life.
    """
    exit_code = 1
    faulthandler.enable()  # the log tells where Python was when native code crashed
    try:
        start_beating(beats, bootstrap.beat_interval_s)
        _serve(control, bootstrap)
        exit_code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        _flush(sys.stdout, sys.stderr)
        os._exit(exit_code)


def _serve(connection: socket.socket, bootstrap: SlotBootstrap) -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    protocol_log.name_process("slot")
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    clock = SystemClock()
    reactor = Reactor()
    network = network_of(bootstrap, reactor, clock)
    network.listen()
    server = SlotServer(bootstrap, clock)
    loop = TaskLoop(reactor, network, clock, server)
    control = ControlChannel(connection, reactor, server.handle, loop.stop)
    server.attach(loop, control)
    loop.every(METRICS_INTERVAL_S, server.send_metrics)
    loop.run()
    control.drain(timeout_s=1.0)
    network.close()


def network_of(bootstrap: SlotBootstrap, reactor: Reactor, clock: Clock) -> NetworkEnvironment:
    """The data plane of a slot, not listening yet."""
    return NetworkEnvironment(
        reactor,
        clock,
        network_settings(bootstrap.configuration),
        host_id=bootstrap.host_id,
        unix_path=Path(bootstrap.unix_path) if bootstrap.unix_path else None,
        tcp_host=bootstrap.tcp_host,
        tcp_port=bootstrap.tcp_port,
        advertised_host=bootstrap.advertised_host,
        log=logging.getLogger("millstream.network"),
    )


def network_settings(configuration: dict[str, object]) -> NetworkSettings:
    """The data plane's settings out of the effective configuration."""
    names = {
        "segment_bytes": "taskmanager.memory.segment-size",
        "memory_bytes": "taskmanager.memory.network.size",
        "exclusive_buffers": "taskmanager.network.memory.buffers-per-channel",
        "floating_buffers": "taskmanager.network.memory.floating-buffers-per-gate",
        "compression": "taskmanager.network.compression.codec",
    }
    given = {field: configuration[key] for field, key in names.items() if configuration.get(key) is not None}
    return NetworkSettings(**given)  # type: ignore[arg-type]


def _flush(*streams: object) -> None:
    for stream in streams:
        try:
            stream.flush()  # type: ignore[attr-defined]
        except (OSError, ValueError):
            continue
