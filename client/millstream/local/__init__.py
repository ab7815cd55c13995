"""A whole cluster inside one program: ``LocalCluster``."""

from millstream.local.cluster import LocalCluster

__all__ = ["LocalCluster"]
