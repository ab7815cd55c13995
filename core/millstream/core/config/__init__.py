"""Settings: typed options, their defaults in ``default.toml``, and where each effective value comes from."""

from millstream.core.config.configuration import Configuration, Setting
from millstream.core.config.loading import find_file, load
from millstream.core.config.options import Option

__all__ = ["Configuration", "Option", "Setting", "find_file", "load"]
