"""``millstream config``: effective settings and where each comes from."""

from __future__ import annotations

import click

from millstream.client.cli.settings import load_settings, output_option, settings_option
from millstream.client.cli.text_table import echo_json, echo_table
from millstream.core.config.configuration import DEFAULT_ORIGIN, find_option


@click.command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--changed", is_flag=True, help="Only settings that differ from the defaults file.")
@output_option
@settings_option
def command(keys: tuple[str, ...], changed: bool, output: str, settings: tuple[str, ...]) -> None:
    """Show all settings, or KEYs, with their values and where each comes from.

    Later ones win: defaults, the file millstream.toml here (or the one MILLSTREAM_CONF_FILE names), environment
    variables such as MILLSTREAM_HEARTBEAT_INTERVAL, -D.
    """
    configuration = load_settings(settings)
    chosen = [find_option(key, "the command line").key for key in keys] or list(configuration)
    if changed:
        chosen = [key for key in chosen if configuration.origin(key) != DEFAULT_ORIGIN]
    rows = [[key, configuration.text(key), configuration.origin(key)] for key in chosen]
    if output == "json":
        echo_json([{"key": key, "value": value, "origin": origin} for key, value, origin in rows])
    elif rows:
        echo_table(["SETTING", "VALUE", "FROM"], rows)
    else:
        click.echo("Every setting has its default.")


COMMANDS = {"config": command}
