"""What a run says while it draws: bars on a terminal, lines elsewhere, and every text as it is written."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from report.command import progress
from report.command.progress import Progress

TEXTS = ["a sign saying [/b]", "[bold]", "a dog :dog:", "[link=https://example.org]x[/link]", "\\[b]", "[/]", "{t} %s"]
RECORD = {"evaluations": 68, "network_calls": 2, "seconds": 1.5}


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def said(request, monkeypatch):
    """A function that returns what was written to the console, a terminal or not."""
    out = io.StringIO()

    def console(**options):
        return Console(**{**options, "stderr": False}, file=out, force_terminal=request.param, width=200)

    monkeypatch.setattr(progress, "Console", console)
    return lambda: re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", out.getvalue())


@pytest.mark.parametrize("text", TEXTS)
def test_texts_from_outside_are_printed_as_they_are(said, text):
    with Progress() as observer:
        observer.begin({"1.8": (text, 68)})
        observer.planned(text)
        observer.section("1.8", text)
        observer.evaluated(68)
        observer.bars.refresh()
        observer.done("1.8", {**RECORD, "title": text})
    lines = said().splitlines()
    assert f"1.8    {text}" in lines
    assert text in lines
    assert any(f"1.8    {text}: 68 evaluations" in line for line in lines)


@pytest.mark.parametrize("text", TEXTS)
def test_a_bar_names_its_section_as_it_is(said, text):
    with Progress() as observer:
        observer.begin({"1.8": ("requested", 68)})
        observer.section("1.8", text)
        observer.bars.refresh()
    if observer.console.is_terminal:
        assert f"1.8    {text}" in said()


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: clock.now, in seconds."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def drawn(observer, clock, steps, seconds, count=10):
    for _ in range(steps):
        clock.now += seconds
        observer.evaluated(count)


@pytest.mark.parametrize("expected", [1000, 0, 50])
def test_a_log_gets_a_line_at_most_every_30_seconds(said, clock, expected):
    with Progress() as observer:
        observer.begin({"1.8": ("requested", expected), "1.9": ("requested", expected)})
        observer.section("1.8", "Anagrams")
        drawn(observer, clock, steps=100, seconds=1)
        observer.done("1.8", {**RECORD, "title": "Anagrams"})
        observer.section("1.9", "Hybrids")
        drawn(observer, clock, steps=29, seconds=1)
        observer.done("1.9", {**RECORD, "title": "Hybrids"})
        lines = [line for line in said().splitlines() if line.endswith(("left", "network"))]
    of_all, left = (" of 1,000", [170, 140, 110]) if expected == 1000 else ("", [0, 0, 0])
    wanted = [
        f"1.8    {done}{of_all} evaluations of the network" + (f"; about {seconds} s left" if seconds else "")
        for done, seconds in zip((300, 600, 900), left, strict=True)
    ]
    if observer.console.is_terminal:  # the bars say it
        assert lines == []
    else:
        assert [line for line in lines if "s;" not in line and " in " not in line] == wanted


@pytest.mark.parametrize("count", [10, 0])
def test_a_log_hears_of_workers_every_30_seconds_too(said, clock, count):
    """They draw several sections at a time; one that is done is told of as a whole. Even if nothing has happened."""
    with Progress() as observer:
        observer.begin({"1.8": ("requested", 600), "1.9": ("requested", 400)})
        drawn(observer, clock, steps=65, seconds=1, count=count)
        observer.section("1.9", "Hybrids")
        observer.evaluated(400 - 32 * count // 10)
        observer.done("1.9", {**RECORD, "title": "Hybrids"})
        drawn(observer, clock, steps=31, seconds=1, count=count)
    lines = [line for line in said().splitlines() if line.startswith("all ") and "of the network" in line]
    if observer.console.is_terminal:
        assert lines == []
    else:
        assert len(lines) == 3
        assert lines[0].startswith(f"all    {30 * count} of 1,000 evaluations of the network")


def test_slow_evaluations_get_a_line_each(said, clock):
    with Progress() as observer:
        observer.begin({"1.8": ("requested", 40)})
        observer.section("1.8", "Anagrams")
        drawn(observer, clock, steps=2, seconds=600)
    if not observer.console.is_terminal:
        assert said().splitlines()[1:] == [
            "1.8    10 of 40 evaluations of the network; about 1800 s left",
            "1.8    20 of 40 evaluations of the network; about 1200 s left",
        ]
