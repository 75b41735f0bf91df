"""Rows as text, JSON lines or CSV. What a device sent must drive neither a terminal nor a spreadsheet."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

Form = Literal["text", "json", "csv"]
Row = dict[str, Any]


def lines(rows: Iterable[Row], form: Form, columns: Sequence[str], as_text: Callable[[Row], str]) -> Iterator[str]:
    """Yield what to print, a row (or, as text, a few lines) at a time.

    Parameters
    ----------
    columns
        Keys of a row that stand in the CSV, in order; the first line names them.
    """
    if form == "csv":
        yield csv_line(columns)
    for row in rows:
        if form == "json":
            yield compact(row)
        elif form == "csv":
            yield csv_line([row[name] for name in columns])
        else:
            yield as_text(row)


def csv_line(cells: Iterable[Any]) -> str:
    r"""Return a line of CSV (RFC 4180) without its end; lists and objects are JSON, None is empty.

    >>> csv_line(["a,b", None, [1, 2], -3, "=1+1", "two\nlines"])
    '"a,b",,"[1,2]",-3,\'=1+1,two\\nlines'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([_cell(cell) for cell in cells])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if not isinstance(value, str):
        return compact(value)
    shown = printable(value)
    # A spreadsheet would take it for a formula.
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown


def compact(value: Any) -> str:
    """Return a value as JSON in one line."""
    return msgspec.json.encode(value).decode()


def printable(text: str) -> str:
    r"""Return text with what no printer shows escaped, so that it can't drive a terminal or forge a line.

    >>> printable("press 3\x1b[2J")
    'press 3\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
