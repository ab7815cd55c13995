"""The election that the settings ask for."""

from __future__ import annotations

from millstream.core.clock import Clock
from millstream.core.config import Configuration, options
from millstream.core.ha.settings import job_store_location, lease_directory
from millstream.core.ha.zookeeper import cluster_path, make_client
from millstream.jobmanager.ha.file_election import FileElection
from millstream.jobmanager.ha.leadership import LeaderElection, NoElection
from millstream.jobmanager.ha.zookeeper_election import ZooKeeperElection


def open_election(configuration: Configuration, clock: Clock) -> LeaderElection:
    """Raises ``ConfigError`` when a setting for it is missing."""
    match configuration[options.HA_TYPE]:
        case "file":
            timeout_s = configuration[options.HA_LEASE_TIMEOUT].total_seconds()
            return FileElection(lease_directory(configuration), timeout_s, clock)
        case "zookeeper":
            job_store_location(configuration)
            timeout_s = configuration[options.HA_ZOOKEEPER_SESSION_TIMEOUT].total_seconds()
            return ZooKeeperElection(make_client(configuration), cluster_path(configuration), timeout_s, clock)
        case _:
            return NoElection()
