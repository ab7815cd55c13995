"""The fork server: a single-threaded process that has imported what slots need, and forks one on request.

Started by the TaskManager as ``python -m millstream.taskmanager.fork_server FD`` and not forked from it, since forking
a process with threads is unsafe. ``FD`` is one end of a Unix seqpacket pair. A request is JSON (a ``SlotBootstrap``)
with the slot's control socket and the pipe for its beats attached; answers are JSON ``{"slot", "incarnation", "pid"}``
when a slot was forked and ``{"pid", "status"}`` when one ended. The children share the memory of the imports;
``gc.freeze`` keeps the collector from touching, and so copying, it. When the TaskManager ends, the pair is closed, and
this process ends; its slots see the end of their control sockets.

Jobs of SQL and tables need another second of imports and compiled kernels, and a hundred megabytes. The first such job
of a cluster makes its TaskManagers ask (``PRELOAD_TABLES``) that slots forked from then on have them; they are loaded
piece by piece, between forks. The TaskManager hears (``PRELOADED``) when all are there.
"""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final, NoReturn

from millstream.taskmanager.slot.bootstrap import SlotBootstrap
from millstream.taskmanager.slot.main import run_slot

WARM_MODULES: Final = (
    "pyarrow",
    "pyarrow.csv",
    "pyarrow.parquet",
    "millstream.connectors.files.api",
    "millstream.connectors.collection",
    "millstream.connectors.sequence",
    "millstream.datastream",
)
"""By name: a TaskManager knows nothing of the client's packages, but the functions of its users refer to them."""

TABLE_MODULES: Final = (
    "millstream.connectors.files.tables",
    "millstream.core.table.evaluation",
    "millstream.core.table.functions.registry",
)
"""Besides those of the operators."""

PRELOAD_TABLES: Final = b'{"preload": "tables"}'
PRELOADED: Final = {"preloaded": "tables"}

MESSAGE_BYTES_MAX: Final = 256 * 1024
_PR_SET_PDEATHSIG: Final = 1


def warm_up() -> None:
    """Import what jobs are likely to use, so that forked slots have it."""
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    pyarrow.set_cpu_count(1)


def preload_tables() -> Iterator[object]:
    """Load what operators of tables use, a piece a step."""
    from millstream.taskmanager.operators.table.registry import operator_modules

    for name in (*TABLE_MODULES, *operator_modules()):
        yield import_module(name)

    import pyarrow

    from millstream.core.kernels.ahead import load_kernels

    yield pyarrow.scalar(0)  # the first makes pyarrow look for pandas, and import it
    yield from load_kernels()


def serve(connection: socket.socket) -> None:
    """Fork and reap until the TaskManager closes its end."""
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    loading: Iterator[object] | None = None
    while True:
        ready, _, _ = select.select([connection.fileno(), wake_read], [], [], None if loading is None else 0)
        if loading is not None and not ready and next(loading, None) is None:
            loading = None
            gc.collect()
            gc.freeze()
            connection.send(json.dumps(PRELOADED).encode())
        if wake_read in ready:
            os.read(wake_read, 4096)
            _reap(connection)
        if connection.fileno() in ready:
            data, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES_MAX, 2)
            if not data:
                return
            if data == PRELOAD_TABLES:
                loading = preload_tables()
                continue
            _fork(connection, json.loads(data), descriptors, (wake_read, wake_write))


def _fork(connection: socket.socket, request: dict[str, Any], slot_fds: list[int], own_fds: tuple[int, int]) -> None:
    bootstrap = SlotBootstrap(**request)
    pid = os.fork()
    if pid == 0:
        _become_slot(connection, bootstrap, slot_fds, own_fds)
    for fd in slot_fds:
        os.close(fd)
    answer = {"slot": bootstrap.slot_index, "incarnation": bootstrap.incarnation, "pid": pid}
    connection.send(json.dumps(answer).encode())


def _become_slot(
    connection: socket.socket, bootstrap: SlotBootstrap, slot_fds: list[int], own_fds: tuple[int, int]
) -> NoReturn:
    """In the child: drop what belongs to the fork server, die with it, run."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with_parent()
        connection.close()
        for fd in own_fds:
            os.close(fd)
        control_fd, beats_fd = slot_fds
        run_slot(socket.socket(fileno=control_fd), beats_fd, bootstrap)
    finally:
        os._exit(70)


def _reap(connection: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        connection.send(json.dumps({"pid": pid, "status": status}).encode())


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent process ends; a second line behind the closed sockets."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def request_bytes(bootstrap: SlotBootstrap) -> bytes:
    """A fork request."""
    return json.dumps(dataclasses.asdict(bootstrap), default=str).encode()


def main() -> None:
    """Entry point of the process."""
    die_with_parent()
    connection = socket.socket(fileno=int(sys.argv[1]))
    warm_up()
    try:
        serve(connection)
    except (ConnectionError, BrokenPipeError):
        return  # the TaskManager is gone


if __name__ == "__main__":
    main()
