"""Stack the layers of settings: ``default.toml``, ``millstream.toml``, environment, ``-D``; a later one wins."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from millstream.core import failpoints, protocol_log
from millstream.core.config.configuration import DEFAULT_ORIGIN, Configuration, Setting, nearest, parse_setting
from millstream.core.config.options import OPTIONS
from millstream.core.config.values import TextMap
from millstream.core.errors import ConfigError

DEFAULT_FILE = Path(__file__).with_name("default.toml")
FILE_NAME = "millstream.toml"
FILE_VARIABLE = "MILLSTREAM_CONF_FILE"
PREFIX = "MILLSTREAM_"
COMMAND_LINE_ORIGIN = "-D on the command line"
NOT_SETTINGS = frozenset({failpoints.VARIABLE, protocol_log.VARIABLE})
"""For tests: handed on to every process as they are."""


def load(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Configuration:
    """The effective settings.

    ``file`` is a ``millstream.toml`` (None: none is read, see ``find_file``), ``environ`` usually ``os.environ``,
    ``overrides`` what ``-D`` gave. Raises ``ConfigError`` for unknown keys, bad values and unreadable files.
    """
    settings = dict(_defaults())
    if file is not None:
        settings.update(_read_file(file))
    settings.update(_read_environment(environ or {}))
    for key, raw in (overrides or {}).items():
        settings[key] = parse_setting(key, raw, COMMAND_LINE_ORIGIN)
    return Configuration(settings)


def find_file(environ: Mapping[str, str], directory: Path) -> Path | None:
    """The file ``MILLSTREAM_CONF_FILE`` names (empty: none), else ``millstream.toml`` in ``directory`` if it exists."""
    named = environ.get(FILE_VARIABLE)
    if named is not None:
        return Path(named).expanduser() if named else None
    candidate = directory / FILE_NAME
    return candidate if candidate.is_file() else None


def flatten_tables(tables: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested TOML tables as dotted keys; a table that is the value of an option stays one."""
    flat: dict[str, object] = {}
    for name, value in tables.items():
        key = f"{prefix}{name}"
        option = OPTIONS.get(key)
        if isinstance(value, dict) and not (option is not None and isinstance(option.kind, TextMap)):
            flat.update(flatten_tables(value, key + "."))
        else:
            flat[key] = value
    return flat


def environment_without_settings() -> dict[str, str]:
    """The environment for a process that is given its settings otherwise."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX) or name in NOT_SETTINGS}


@cache
def _defaults() -> dict[str, Setting]:
    flat = flatten_tables(tomllib.loads(DEFAULT_FILE.read_text("utf-8")))
    return {key: parse_setting(key, raw, DEFAULT_ORIGIN) for key, raw in flat.items()}


def _read_file(file: Path) -> dict[str, Setting]:
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the settings file {file}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"the settings file {file} is not UTF-8 text (byte {error.start}).") from None
    try:
        flat = flatten_tables(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the settings file {file} is not valid TOML: {error}.") from None
    return {key: parse_setting(key, raw, _place(file, text, key)) for key, raw in flat.items()}


def _place(file: Path, text: str, key: str) -> str:
    """``file, line N`` if the key's last words stand at the start of exactly one line, else the file alone."""
    parts = key.split(".")
    endings = {".".join(parts[start:]) for start in range(len(parts))}
    lines = [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if "=" in line and line.partition("=")[0].strip().replace('"', "") in endings
    ]
    return f"{file}, line {lines[0]}" if len(lines) == 1 else str(file)


def _read_environment(environ: Mapping[str, str]) -> dict[str, Setting]:
    by_variable = {option.environment_variable: option.key for option in OPTIONS.values()}
    settings: dict[str, Setting] = {}
    for variable, raw in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable == FILE_VARIABLE or variable in NOT_SETTINGS:
            continue
        key = by_variable.get(variable)
        if key is None:
            near = nearest(variable, list(by_variable))
            hint = f" Did you mean {near}?" if near else ""
            raise ConfigError(
                f"the environment variable {variable} names no setting.{hint} "
                f"Variables that start with {PREFIX} are read as settings; `millstream config` lists them."
            )
        settings[key] = parse_setting(key, raw, f"environment variable {variable}")
    return settings
