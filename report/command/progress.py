"""Shows the progress of a run: a bar with the time left on a terminal, lines elsewhere, in a log for example."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from generators.running.session import Observer

EVERY = 30  # seconds at least between two lines on a section, where no bar shows its progress


class Progress(Observer):
    """Counts network evaluations; the expected number comes from the last drawing of each section."""

    def __init__(self) -> None:
        # Prompts and titles are printed as they are: without markup such as [b], and without emoji such as :dog:.
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.began = self.told = time.monotonic()
        self.evaluations = self.of_section = 0
        self.expected: dict[str, int] = {}
        self.section_id = ""  # of the section that is drawn here; "" while others are drawn by workers
        self.current: TaskID | None = None

    def __enter__(self) -> Progress:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def begin(self, todo: dict[str, tuple[str, int]]) -> None:
        self.began = time.monotonic()
        self.expected = {section_id: count for section_id, (_, count) in todo.items()}
        for section_id, (why, _) in todo.items():
            self.console.print(f"{section_id:6} {why}")
        self.all = self.bars.add_task("all sections", total=sum(self.expected.values()) or None)

    def planned(self, line: str) -> None:
        self.console.print(line)

    def section(self, section_id: str, title: str) -> None:
        self.current = self.bars.add_task(f"{section_id:6} {title}", total=self.expected[section_id] or None)
        self.section_id, self.of_section, self.told = section_id, 0, time.monotonic()

    def evaluated(self, count: int) -> None:
        self.evaluations += count
        self.bars.advance(self.all, count)
        if self.current is not None:
            self.bars.advance(self.current, count)
        self.of_section += count
        if not self.console.is_terminal and time.monotonic() - self.told >= EVERY:
            self.told = time.monotonic()
            if self.section_id:
                what, done, expected = self.section_id, self.of_section, self.expected[self.section_id]
            else:
                what, done, expected = "all", self.evaluations, sum(self.expected.values())
            of_all = f" of {expected:,}" if expected >= done else ""
            self.console.print(f"{what:6} {done:,}{of_all} evaluations of the network{self._time_left()}")

    def done(self, section_id: str, record: dict[str, Any]) -> None:
        if self.current is not None:
            self.bars.remove_task(self.current)
        self.section_id, self.current = "", None
        self.console.print(
            f"{section_id:6} {record['title']}: {record['evaluations']} evaluations of the network in "
            f"{record['network_calls']} calls, {record['seconds']:.1f} s{self._time_left()}"
        )

    def _time_left(self) -> str:
        """Returns the time left at the rate so far, where no bar shows it."""
        rest = sum(self.expected.values()) - self.evaluations
        if self.console.is_terminal or rest <= 0 or not self.evaluations:
            return ""
        return f"; about {rest * (time.monotonic() - self.began) / self.evaluations:.0f} s left"
