"""What the settings of high availability lead to: the place of the lease, the finder of the leader, addresses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from millstream.core.config import Configuration, options
from millstream.core.errors import ConfigError
from millstream.core.ha.leader_files import LeaderFiles
from millstream.core.ha.leader_finder import LeaderFinder

_ADDRESS: Final = re.compile(r"(?P<host>\[[^\]\s]+\]|[^:\s\[\]]+)(:(?P<port>\d+))?")


def has_election(configuration: Configuration) -> bool:
    """Whether JobManagers agree on a leader, so that there may be several."""
    return configuration[options.HA_TYPE] != "NONE"


def names_jobmanager(configuration: Configuration) -> bool:
    """Whether the settings lead to a cluster; else clients start an embedded one."""
    return has_election(configuration) or configuration[options.JOBMANAGER_RPC_ADDRESS] is not None


def lease_directory(configuration: Configuration) -> Path:
    """Where the records of file leases are. Raises ``ConfigError`` unless a directory of this machine is set."""
    from millstream.core.checkpoint.storage import is_remote  # loads more than a client without an election needs

    location = configuration[options.HA_STORAGE_DIR]
    if location is None or is_remote(location):
        raise ConfigError(
            f"{options.HA_TYPE.key}=file needs a directory of this machine in {options.HA_STORAGE_DIR.key}, it is "
            f"{location or 'not set'}. Set it to the same directory for JobManagers, TaskManagers and clients; for "
            f"JobManagers on several machines use {options.HA_TYPE.key}=zookeeper."
        )
    return Path(location.removeprefix("file://")) / configuration[options.HA_CLUSTER_ID] / "leader"


def job_store_location(configuration: Configuration) -> str:
    """Where a cluster with an election keeps its jobs. Raises ``ConfigError`` when no place is set."""
    location = configuration[options.HA_STORAGE_DIR]
    if location is None:
        raise ConfigError(
            f"{options.HA_TYPE.key} is {configuration[options.HA_TYPE]}, so {options.HA_STORAGE_DIR.key} is needed: a "
            f"directory or URL that all JobManagers see."
        )
    return f"{location.rstrip('/')}/{configuration[options.HA_CLUSTER_ID]}"


def open_finder(configuration: Configuration) -> LeaderFinder | None:
    """How to find the leader; None when the settings name no place where leaders write themselves down.

    May block until ZooKeeper answers. Raises ``ConfigError``, ``UnavailableError``.
    """
    match configuration[options.HA_TYPE]:
        case "file":
            return LeaderFiles(lease_directory(configuration))
        case "zookeeper":
            from millstream.core.ha.zookeeper import ZooKeeperFinder

            return ZooKeeperFinder(configuration)
        case _:
            return None


def addresses(configuration: Configuration) -> list[str]:
    """``host:port`` of each JobManager that the settings name; none when only an election tells where they are.

    Raises ``ConfigError`` for an address that is none.
    """
    text = configuration[options.JOBMANAGER_RPC_ADDRESS]
    if text is None:
        return [] if has_election(configuration) else [options.jobmanager_address(configuration)]
    return [_with_port(part.strip(), configuration) for part in text.split(",")]


def _with_port(text: str, configuration: Configuration) -> str:
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"  # an IPv6 address
    parts = _ADDRESS.fullmatch(text)
    if parts is None:
        raise ConfigError(
            f"{options.JOBMANAGER_RPC_ADDRESS.key}={text}: expected HOST, HOST:PORT, or several of them with commas."
        )
    return f"{parts['host']}:{parts['port'] or configuration[options.JOBMANAGER_RPC_PORT]}"
