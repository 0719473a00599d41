"""How long a run will still take: by what its sections cost last time, and how this machine compares so far."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from generators.running.cost import Cost

LEAST = 1.0  # seconds measured, before which there is no number to give


class TimeLeft:
    """The sections to be drawn and what has been done of each. workers: processes that draw at once."""

    def __init__(self, costs: Mapping[str, Cost], workers: int = 1) -> None:
        self.costs, self.workers = dict(costs), workers
        self.evaluations = dict.fromkeys(costs, 0)
        self.open = set(costs)
        self.here: str | None = None  # this machine, once a record has told
        self._taken: dict[str, list[tuple[float, float]]] = {}  # by machine of the last drawings: (cost, seconds here)
        self._current, self._began = "", 0.0

    def section(self, section_id: str) -> None:
        """A section begins in this process."""
        self._current, self._began = section_id, time.monotonic()

    def done(self, section_id: str, record: Mapping[str, Any]) -> None:
        """A section is done. What another process drew is told of at its end, and its record says how long it took."""
        cost = self.costs[section_id]
        seconds = max(time.monotonic() - self._began, record["seconds"])
        self._taken.setdefault(cost.where, []).append((cost.whole, seconds))
        self.open.discard(section_id)
        self._current = ""
        if "where" in record:
            self.here = json.dumps(record["where"], sort_keys=True)

    def seconds(self, section_id: str | None = None) -> float | None:
        """Returns the seconds left for one section or for all; None if there is no number to give.

        Sections that several processes share out take at least as long as the longest.
        """
        wanted = self.open if section_id is None else {section_id} & self.open
        left = []
        for each in wanted:
            cost = self.costs[each]
            pace = self._pace(cost.where)
            if pace is None or not cost.is_known:
                return None
            left.append(pace * (cost.whole - cost.spent(self.evaluations[each])))
        return max(sum(left) / self.workers, max(left)) if left else None

    def _pace(self, where: str) -> float | None:
        """Returns the seconds that this machine takes for a second of another, or for an evaluation.

        Measured on sections that the other drew last; while there are none, on all, and 1 if the other is this one.
        """
        taken = {machine: list(pairs) for machine, pairs in self._taken.items()}
        if self._current and self.evaluations[self._current]:
            cost = self.costs[self._current]
            spent = cost.spent(self.evaluations[self._current])
            taken.setdefault(cost.where, []).append((spent, time.monotonic() - self._began))
        found = _ratio(taken.get(where, ()))
        if found is None and where == self.here:
            return 1.0
        return found or _ratio([pair for pairs in taken.values() for pair in pairs])


def _ratio(taken: Sequence[tuple[float, float]]) -> float | None:
    """Returns seconds per cost over these pairs of cost and seconds; None if too little was measured."""
    cost, seconds = (sum(pair[place] for pair in taken) for place in (0, 1))
    return seconds / cost if seconds >= LEAST and cost else None
