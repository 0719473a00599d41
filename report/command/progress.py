"""Shows the progress of a run: a bar with the time left on a terminal, lines elsewhere, in a log for example."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from generators.running.cost import Cost
from generators.running.session import Observer

from .time_left import TimeLeft

EVERY = 30  # seconds at least between two lines on a section, where no bar shows its progress


class Progress(Observer):
    """Counts network evaluations, and says how long the rest will take where the last drawings tell (`TimeLeft`).

    workers: processes that draw at once.
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        # Prompts and titles are printed as they are: without markup such as [b], and without emoji such as :dog:.
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.told = time.monotonic()
        self.left = TimeLeft({})
        self.section_id = ""  # of the section that is drawn here; "" while others are drawn by workers
        self.current: TaskID | None = None

    def __enter__(self) -> Progress:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def begin(self, todo: dict[str, tuple[str, Cost]]) -> None:
        self.left = TimeLeft({section_id: cost for section_id, (_, cost) in todo.items()}, self.workers)
        for section_id, (why, _) in todo.items():
            self.console.print(f"{section_id:6} {why}")
        self.all = self.bars.add_task("all sections", total=self._expected() or None, left="")

    def planned(self, line: str) -> None:
        self.console.print(line)

    def section(self, section_id: str, title: str) -> None:
        self.left.section(section_id)
        self.current = self.bars.add_task(f"{section_id:6} {title}", total=self._expected(section_id) or None, left="")
        self.section_id, self.told = section_id, time.monotonic()

    def evaluated(self, count: int, section_id: str = "") -> None:
        self.left.evaluations[section_id or self.section_id] += count
        self.bars.update(self.all, advance=count, left=self._time_left())
        if self.current is not None:
            self.bars.update(self.current, advance=count, left=self._time_left(self.section_id))
        if not self.console.is_terminal and time.monotonic() - self.told >= EVERY:
            self.told = time.monotonic()
            evaluations, expected = self.left.evaluations, self._expected(self.section_id)
            done = evaluations[self.section_id] if self.section_id else sum(evaluations.values())
            of_all = f" of {expected:,}" if expected >= done else ""
            what = f"{self.section_id or 'all':6} {done:,}{of_all} evaluations of the network"
            self.console.print("; ".join(filter(None, [what, self._time_left()])))

    def done(self, section_id: str, record: dict[str, Any]) -> None:
        if self.current is not None:
            self.bars.remove_task(self.current)
        self.section_id, self.current = "", None
        self.left.done(section_id, record)
        what = (
            f"{section_id:6} {record['title']}: {record['evaluations']} evaluations of the network in "
            f"{record['network_calls']} calls, {record['seconds']:.1f} s"
        )
        left = "" if self.console.is_terminal else self._time_left()  # there the bar shows it
        self.console.print("; ".join(filter(None, [what, left])))

    def _expected(self, section_id: str = "") -> int:
        """Returns the evaluations to expect, of a section or of all; 0 if unknown."""
        costs = self.left.costs
        return costs[section_id].evaluations if section_id else sum(cost.evaluations for cost in costs.values())

    def _time_left(self, section_id: str = "") -> str:
        """Returns the time left for a section or for all, in words; "" while it is unknown."""
        seconds = self.left.seconds(section_id or None)
        return f"about {seconds:.0f} s left" if seconds else ""
