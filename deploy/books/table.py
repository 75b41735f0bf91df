"""The books as a table for people."""

from deploy.books.close import Books

_ROWS: tuple[tuple[str, str], ...] = (
    ("sent", "committed to the devices' outboxes"),
    ("received", "in Kafka, each once"),
    ("dead", "refused, with their bytes, in dead letters"),
    ("in_outboxes", "not in Kafka yet, safe in an outbox"),
    ("lost", "none of these"),
    ("duplicates", "copies beyond the first, recognised"),
    ("judged", "in a window that was judged"),
    ("late", "came after their window, kept"),
    ("not_judged", "neither yet"),
    ("alert_events", "distinct event ids, read committed"),
    ("alert_duplicates", "event ids that are there twice"),
    ("influx_alerts", "event ids in InfluxDB"),
    ("webhook_alerts", "event ids at the webhook's receiver"),
)


def as_text(books: Books) -> str:
    """Return the table, and below it what must never be, or that nothing of it was found."""
    rows = [(name.replace("_", " "), _number(getattr(books, name)), what) for name, what in _ROWS]
    lines = [f"  {name:<16} {number:>12}  {what}" for name, number, what in rows if number]
    if books.violations:
        verdict = [f"  ✗ {one.name}: {one.count:,} — {one.detail}" for one in books.violations]
        return "\n".join([*lines, "", "The books don't close:", *verdict])
    return "\n".join([*lines, "", "The books close."])


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
