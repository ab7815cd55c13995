"""Every socket on which a cluster's processes listen, found by asking the kernel, and how those processes are."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

PROBE: Final = b"GET /metrics HTTP/1.0\r\n\r\n"
PROBE_S: Final = 10.0
_ACCEPTS: Final = 0x10000
"""The flag of a listening Unix socket in ``/proc/net/unix``."""


@dataclass(frozen=True)
class Endpoint:
    """``kind``: rpc, data, data by Unix socket, or metrics. ``address``: host and port, or a path."""

    kind: str
    role: str
    process_id: int
    address: tuple[str, int] | str

    def __str__(self) -> str:
        place = self.address if isinstance(self.address, str) else self.address[1]
        return f"{self.kind} of {self.role} {self.process_id} at {place}"

    def connect(self) -> socket.socket:
        """A socket that is connecting, or connected; without blocking. ``BlockingIOError``: the server is busy."""
        made = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET)
        made.setblocking(False)
        try:
            if isinstance(self.address, str):
                made.connect(self.address)
            else:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                made.connect(self.address)
        except BlockingIOError:
            if isinstance(self.address, str):
                made.close()
                raise
        except OSError:
            made.close()
            raise
        return made


@dataclass(frozen=True)
class Process:
    """``role``: JobManager, TaskManager, fork server or slot."""

    role: str
    process: psutil.Process

    @property
    def rss_mb(self) -> float:
        return float(self.process.memory_info().rss) / 1e6

    @property
    def peak_mb(self) -> float:
        """Since ``forget_peak``."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6

    def forget_peak(self) -> None:
        """From now on the peak counts anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    @property
    def is_alive(self) -> bool:
        return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE


def processes_of(process_ids: list[int]) -> list[Process]:
    """Of a JobManager and TaskManagers, with all that they started."""
    found = [Process("JobManager", psutil.Process(process_ids[0]))]
    for process_id in process_ids[1:]:
        taskmanager = psutil.Process(process_id)
        found.append(Process("TaskManager", taskmanager))
        for server in taskmanager.children():
            found.append(Process("fork server", server))
            found += [Process("slot", slot) for slot in server.children()]
    return found


def endpoints_of(processes: list[Process]) -> list[Endpoint]:
    """Where they listen."""
    listening = {
        fields[7]
        for line in Path("/proc/net/unix").read_text().splitlines()[1:]
        if len(fields := line.split()) > 7 and int(fields[3], 16) & _ACCEPTS
    }
    found: list[Endpoint] = []
    for one in processes:
        for connection in one.process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                address = (str(connection.laddr.ip), int(connection.laddr.port))
                found.append(Endpoint(_kind_of(one.role, address), one.role, one.process.pid, address))
        paths = {str(connection.laddr) for connection in one.process.net_connections("unix")} & listening
        found += [Endpoint("data by Unix socket", one.role, one.process.pid, path) for path in sorted(paths)]
    return found


def _kind_of(role: str, address: tuple[str, int]) -> str:
    if role == "slot":
        return "data"
    with socket.create_connection(address, PROBE_S) as probe:
        probe.sendall(PROBE)
        answer = probe.recv(16)
    return "metrics" if answer.startswith(b"HTTP/1") else "rpc"
