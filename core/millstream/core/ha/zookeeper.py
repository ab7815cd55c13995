"""Talking to ZooKeeper: the nodes of a cluster, and finding its leader by them.

Below ``high-availability.zookeeper.path.root`` and the cluster's id, ``leader`` is an ephemeral node with the leader's
record, and ``epoch`` the number of the last leader. The library, kazoo, comes with the extra ``zookeeper``.
"""

from __future__ import annotations

from typing import Any, Final

from millstream.core.config import Configuration, options
from millstream.core.errors import ConfigError, UnavailableError
from millstream.core.ha.leader_finder import LeaderRecord

ANSWER_TIMEOUT_S: Final = 1.0


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
    """Finds the leader by its node; implements ``LeaderFinder``. A node that is gone is remembered."""

    def __init__(self, configuration: Configuration) -> None:
        """Blocks until a server answers. Raises ``ConfigError``, ``UnavailableError``."""
        self._client = make_client(configuration)
        self._path = leader_path(cluster_path(configuration))
        self._record: LeaderRecord | None = None
        timeout_s = configuration[options.HA_ZOOKEEPER_CONNECTION_TIMEOUT].total_seconds()
        try:
            self._client.start(timeout_s)
        except self._client.handler.timeout_exception:
            self._client.close()
            raise UnavailableError(
                f"no ZooKeeper server answers at {configuration[options.HA_ZOOKEEPER_QUORUM]} within {timeout_s:g} s "
                f"({options.HA_ZOOKEEPER_CONNECTION_TIMEOUT.key})."
            ) from None

    def find(self) -> LeaderRecord | None:
        """Asks each time. (A watch would be told by a thread of kazoo's, and one that waits there for an answer of lost
        servers keeps the client from closing.)"""
        from kazoo.exceptions import KazooException

        if not self._client.connected:
            return self._record  # kazoo would keep the question until it is
        try:
            data, _ = self._client.get_async(self._path).get(timeout=ANSWER_TIMEOUT_S)
        except (KazooException, self._client.handler.timeout_exception):
            return self._record
        self._record = LeaderRecord.decode(data) or self._record
        return self._record

    def close(self) -> None:
        self._client.stop()
        self._client.close()
