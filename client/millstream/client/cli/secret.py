"""``millstream secret create``: the secret that JobManager, TaskManagers and clients of one cluster share."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from millstream.client.cli.settings import load_settings, settings_option
from millstream.core.config import options
from millstream.core.errors import ConfigError

SECRET_BYTES = 32


@click.group()
def command() -> None:
    """Create the secret that members of a cluster share."""


@command.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace an existing secret; members that hold the old one are refused.")
@settings_option
def create(file: Path | None, force: bool, settings: tuple[str, ...]) -> None:
    """Write a new secret to FILE (default: the setting security.secret-file), readable by its owner only.

    Copy the file to every machine of the cluster and to its clients, and name it there in security.secret-file.
    """
    path = file or load_settings(settings)[options.SECURITY_SECRET_FILE]
    write_secret(path, force=force)
    click.echo(f"Secret written to {path} (mode 0600).")
    click.echo(f"Use it everywhere in the cluster: -D security.secret-file={path}")


def write_secret(path: Path, *, force: bool) -> None:
    """A random secret; never leaves a readable or half-written file, ``ConfigError`` if there is one already."""
    draft = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(SECRET_BYTES) + "\n")
        if force:
            draft.replace(path)
        else:
            os.link(draft, path)
    except FileExistsError:
        raise ConfigError(f"{path} exists already; --force replaces it.") from None
    except OSError as error:
        raise ConfigError(f"cannot write the secret to {path}: {error.strerror}.") from None
    finally:
        draft.unlink(missing_ok=True)


COMMANDS = {"secret": command}
