"""``python -m millstream.connectors.nexmark``: events of the Nexmark benchmark as files."""

from __future__ import annotations

from pathlib import Path

import click

from millstream.connectors.nexmark.files import FORMATS, write_events
from millstream.connectors.nexmark.model import NexmarkModel
from millstream.core.errors import ConfigError


@click.command()
@click.option("--events", type=click.IntRange(0), required=True, help="How many; of 50 events 46 are bids.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Directory to write to.")
@click.option("--seed", type=int, default=0, show_default=True, help="Other seeds, other events.")
@click.option("--files", type=click.IntRange(1, 1000), default=2, show_default=True, help="Files a table.")
@click.option("--format", "file_format", type=click.Choice(FORMATS), default="json", show_default=True)
@click.option(
    "--rate", type=click.IntRange(1), default=10_000, show_default=True, help="Events per second of event time."
)
@click.option(
    "--bid-size",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Average bytes of a bid in memory; its JSON line has 156 more.",
)
def main(events: int, out: Path, seed: int, files: int, file_format: str, rate: int, bid_size: int) -> None:
    """Write the events of the Nexmark benchmark, deterministic by seed: DIR/person, DIR/auction and DIR/bid."""
    model = NexmarkModel(seed=seed, events_per_second=rate, bid_bytes=bid_size)
    try:
        rows = write_events(model, events, out, files, file_format)
    except (ConfigError, OSError) as error:
        raise click.ClickException(str(error)) from error
    for kind, count in rows.items():
        click.echo(f"{count:>12,} rows  {out / kind.column}")


if __name__ == "__main__":
    main()
