"""Talking to ZooKeeper: the nodes of a cluster, and finding its leader by them.

Below ``high-availability.zookeeper.path.root`` and the cluster's id, ``leader`` is an ephemeral node with the leader's
record, and ``epoch`` the number of the last leader. The library, kazoo, comes with the extra ``zookeeper``.
"""

from __future__ import annotations

import threading
from typing import Any

from millstream.core.config import Configuration, options
from millstream.core.errors import ConfigError, UnavailableError
from millstream.core.ha.leader_finder import LeaderRecord


def cluster_path(configuration: Configuration) -> str:
    """Of the node below which a cluster has its own."""
    root = configuration[options.HA_ZOOKEEPER_ROOT].strip("/")
    return "/" + "/".join(part for part in (root, configuration[options.HA_CLUSTER_ID]) if part)


def leader_path(cluster: str) -> str:
    return f"{cluster}/leader"


def epoch_path(cluster: str) -> str:
    return f"{cluster}/epoch"


def make_client(configuration: Configuration) -> Any:
    """A kazoo client, not started. Raises ``ConfigError`` without a quorum or without the library."""
    quorum = configuration[options.HA_ZOOKEEPER_QUORUM]
    if quorum is None:
        raise ConfigError(
            f"{options.HA_TYPE.key}=zookeeper needs {options.HA_ZOOKEEPER_QUORUM.key}: HOST:PORT,HOST:PORT."
        )
    try:
        from kazoo.client import KazooClient
    except ImportError as error:
        raise ConfigError(
            f"{options.HA_TYPE.key}=zookeeper needs the library kazoo: pip install 'millstream[zookeeper]' brings it."
        ) from error
    return KazooClient(quorum, configuration[options.HA_ZOOKEEPER_SESSION_TIMEOUT].total_seconds())


class ZooKeeperFinder:
    """Finds the leader by a watch of its node; implements ``LeaderFinder``. A node that is gone is remembered."""

    def __init__(self, configuration: Configuration) -> None:
        """Blocks until a server answers. Raises ``ConfigError``, ``UnavailableError``."""
        from kazoo.recipe.watchers import DataWatch

        self._client = make_client(configuration)
        self._record: LeaderRecord | None = None
        self._lock = threading.Lock()
        timeout_s = configuration[options.HA_ZOOKEEPER_CONNECTION_TIMEOUT].total_seconds()
        try:
            self._client.start(timeout_s)
        except self._client.handler.timeout_exception:
            self._client.close()
            raise UnavailableError(
                f"no ZooKeeper server answers at {configuration[options.HA_ZOOKEEPER_QUORUM]} within {timeout_s:g} s "
                f"({options.HA_ZOOKEEPER_CONNECTION_TIMEOUT.key})."
            ) from None
        DataWatch(self._client, leader_path(cluster_path(configuration)), self._changed)

    def find(self) -> LeaderRecord | None:
        return self._record

    def close(self) -> None:
        self._client.stop()
        self._client.close()

    def _changed(self, data: bytes | None, stat: object) -> None:
        """On a thread of kazoo's."""
        record = LeaderRecord.decode(data) if data is not None else None
        with self._lock:
            if record is not None and (self._record is None or record.epoch >= self._record.epoch):
                self._record = record
