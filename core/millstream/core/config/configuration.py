"""Effective settings, each with where it comes from.

Immutable: ``with_values`` gives a new one. ``load`` (``loading.py``) stacks the layers; components get a
``Configuration`` as an argument and read ``configuration[options.X]``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from millstream.core.config.options import OPTIONS, Option
from millstream.core.errors import ConfigError

T = TypeVar("T")

DEFAULT_ORIGIN = "default"

OF_CLUSTER_UNLESS_OF_JOB: Final = ("execution.checkpointing.", "restart-strategy.")
"""Prefixes of settings of a job that the cluster decides when nobody has set them for the job."""


@dataclass(frozen=True)
class Setting:
    """A parsed value and the words that say who set it."""

    value: Any
    origin: str


class Configuration:
    """All options with their values."""

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        self._settings = dict(settings)

    def __getitem__(self, option: Option[T]) -> T:
        value: T = self._settings[option.key].value
        return value

    def __iter__(self) -> Iterator[str]:
        """Keys in the order of the reference page."""
        return iter(self._settings)

    def __repr__(self) -> str:
        return f"Configuration({self.changed(show_secrets=False)})"

    def origin(self, key: str) -> str:
        """Where the value of ``key`` comes from: "default", a file, an environment variable, the command line."""
        return self._settings[find_option(key, "a program").key].origin

    def is_default(self, option: Option[Any]) -> bool:
        """Nobody set ``option``."""
        return self._settings[option.key].origin == DEFAULT_ORIGIN

    def with_values(self, values: Mapping[str, object], origin: str) -> Configuration:
        """A copy with ``values`` (parsed or text, by key) on top; ``ConfigError`` for an unknown key or a bad value."""
        settings = dict(self._settings)
        for key, raw in values.items():
            settings[key] = parse_setting(key, raw, origin)
        return Configuration(settings)

    def text(self, key: str, *, show_secrets: bool = False) -> str:
        """The value as a user would write it."""
        option = find_option(key, "a program")
        value = self._settings[key].value
        if option.secret and value is not None and not show_secrets:
            return "******"
        return option.kind.text(value)

    def flatten(self) -> dict[str, Any]:
        """Every key with a value JSON can hold: durations in ms, sizes in bytes, paths as text, None where not set.

        Without secrets, except those that slots need: slot processes, which run user code, get this.
        """
        return {
            key: OPTIONS[key].kind.flat(setting.value)
            for key, setting in self._settings.items()
            if not OPTIONS[key].secret or OPTIONS[key].for_slots
        }

    def flatten_for_job(self) -> dict[str, Any]:
        """``flatten`` without what the cluster that runs the job decides, because nobody has set it here."""
        return {
            key: value
            for key, value in self.flatten().items()
            if self._settings[key].origin != DEFAULT_ORIGIN or not key.startswith(OF_CLUSTER_UNLESS_OF_JOB)
        }

    def changed(self, *, show_secrets: bool = False) -> dict[str, str]:
        """What somebody set, as text; without secrets unless asked."""
        return {
            key: self.text(key, show_secrets=show_secrets)
            for key, setting in self._settings.items()
            if setting.origin != DEFAULT_ORIGIN
        }

    def as_environment(self) -> dict[str, str]:
        """Variables that give a child process these settings; unlike arguments, other users cannot see them.

        Secrets are included. The child reads no ``millstream.toml``; what this process read from one is in them.
        """
        variables = {OPTIONS[key].environment_variable: text for key, text in self.changed(show_secrets=True).items()}
        return {"MILLSTREAM_CONF_FILE": "", **variables}


def find_option(key: str, origin: str) -> Option[object]:
    """The option ``key``; ``ConfigError`` names the nearest one that exists."""
    option = OPTIONS.get(key)
    if option is not None:
        return option
    near = nearest(key, list(OPTIONS))
    hint = f"Did you mean {near!r}? " if near else ""
    raise ConfigError(f"unknown setting {key!r} ({origin}). {hint}`millstream config` lists every setting.")


def nearest(word: str, words: list[str]) -> str | None:
    """The member of ``words`` most like ``word``, ignoring case and separators; None if none is near."""

    def plain(text: str) -> str:
        return text.lower().replace("-", "").replace("_", "").replace(".", "")

    by_plain = {plain(candidate): candidate for candidate in words}
    found = difflib.get_close_matches(plain(word), by_plain, n=1, cutoff=0.6)
    return by_plain[found[0]] if found else None


def parse_setting(key: str, raw: object, origin: str) -> Setting:
    """Read ``raw`` as a value of ``key``."""
    option = find_option(key, origin)
    try:
        return Setting(option.kind.parse(raw), origin)
    except ValueError as error:
        shown = "a value" if option.secret else repr(raw)
        raise ConfigError(f"setting {key!r} ({origin}): {error}, got {shown}.") from None
