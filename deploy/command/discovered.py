"""What `tidemark discover` shows to people."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.mapping.discover.discovery import Discovery
from connectors.mapping.discover.heard import Heard
from connectors.mapping.discover.preview import Preview

MOST_ROWS = 60
"""Rows of a table; --json has all."""

PIPED_COLUMNS = 400
"""Where the output is no terminal, a table breaks no name in two."""


def print_discovered(
    heard: Heard, found: Discovery, shown: Preview | None, *, on_stderr: bool, out: Path | None
) -> None:
    """Print the preview, what would be refused, and what can't be mapped, with the reasons."""
    console = Console(highlight=False, soft_wrap=True, stderr=on_stderr)
    if not console.is_terminal:
        console.width = PIPED_COLUMNS
    console.print(f"heard {heard.messages:,} messages on {len(heard.topics()):,} topics")
    if heard.topics_left_out:
        console.print(f"{heard.topics_left_out:,} messages were on yet more topics; look at them by --topic")
    if shown is not None:
        _print_preview(console, shown)
    if found.unmapped:
        console.print("\nno mapping is proposed for these:")
        _print_rows(
            console,
            ("topic", "messages", "why"),
            [(one.topic, f"{one.messages:,}", one.why) for one in found.unmapped],
        )
    notes = [(str(one.mapping["topic"]), note) for one in found.proposals for note in one.notes]
    if notes:
        console.print("\nplease check:")
        _print_rows(console, ("topic", "note"), notes)
    if out is not None:
        console.print(f"\nwritten to {escape(str(out))}; name it in tidemark.toml: \\[mqtt] mappings_file = ...")


def _print_preview(console: Console, shown: Preview) -> None:
    console.print("\nthe newest reading of each series, as the mapping reads it:")
    _print_rows(
        console,
        ("site", "gateway", "device", "quantity", "value", "unit", "time"),
        [
            (
                one.site,
                one.gateway,
                one.device,
                one.quantity,
                f"{one.value:g}",
                one.unit,
                _time(one.time_ms, one.by_receipt),
            )
            for one in shown.readings
        ],
    )
    if shown.faults:
        console.print("\nthese would become dead letters:")
        _print_rows(
            console,
            ("topic", "messages", "reason", "detail"),
            [(one.topic, f"{one.messages:,}", one.reason, one.detail) for one in shown.faults],
        )
    if shown.passed:
        console.print(f"\n{shown.passed:,} messages have no reading in them, and are passed over")


def _time(time_ms: int, by_receipt: bool) -> str:
    try:
        text = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        text = f"{time_ms} ms"
    return f"{text} (receipt)" if by_receipt else text


def _print_rows(console: Console, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        right = column in ("value", "messages")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in rows[:MOST_ROWS]:
        # A payload may hold what a terminal would obey.
        table.add_row(*(escape("".join(char if char.isprintable() else "?" for char in cell)) for cell in row))
    console.print(table)
    if len(rows) > MOST_ROWS:
        console.print(f"… and {len(rows) - MOST_ROWS} more; --json shows all")
