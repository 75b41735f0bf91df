"""From a series' index to the beginning of its points, for the series that the settings select."""

from collections.abc import Callable, Sequence
from fnmatch import translate
from re import compile as compile_pattern

import numpy as np

from connectors.influxdb.points import Names, window_prefix
from connectors.wire.series import SeriesTable
from connectors.wire.summary import Group

CACHED_GROUPS = 20_000
"""Gateways whose names are kept ready; past it they start over, which bounds memory where tables change for ever."""


class NameBook:
    """Knows the names of the groups of summaries.

    Parameters
    ----------
    globs
        Of `site/gateway/device/quantity`, case-sensitive; `*` also matches slashes. A series that none matches is
        not written.
    table
        Finds a series table by its id, waiting for it within bounds; None if nobody knows it.
    """

    def __init__(self, globs: Sequence[str], table: Callable[[str], SeriesTable | None]) -> None:
        self._selects = compile_pattern("|".join(translate(glob) for glob in globs) or "(?!)").match
        self._table = table
        self._known: dict[tuple[str, str, str], Names] = {}

    def lookup(self, group: Group) -> Names | None:
        """Return the names of a group's table; None if the table is not known."""
        key = (group.site, group.gateway, group.table)
        names = self._known.get(key)
        if names is None:
            table = self._table(group.table)
            if table is None:
                return None
            if len(self._known) >= CACHED_GROUPS:
                self._known.clear()
            names = self._known[key] = self._names(group, table)
        return names

    def _names(self, group: Group, table: SeriesTable) -> Names:
        prefixes = [
            window_prefix(group.site, group.gateway, series.device, series.quantity)
            if self._selects(f"{group.site}/{group.gateway}/{series.device}/{series.quantity}")
            else None
            for series in table.series
        ]
        return Names(prefixes, np.array([prefix is not None for prefix in prefixes]))
