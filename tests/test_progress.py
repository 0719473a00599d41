"""What a run says while it draws: bars on a terminal, lines elsewhere, and every text as it is written."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from generators.records.texts import section_key
from generators.running.cost import Cost
from report.command import progress, time_left
from report.command.progress import Progress
from report.command.time_left import LEAST, TimeLeft

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
        observer.begin({"1.8": (text, Cost(68))})
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
        observer.begin({"1.8": ("requested", Cost(68))})
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
    monkeypatch.setattr(time_left, "time", clock)
    return clock


def drawn(observer, clock, steps, seconds, count=10, section_id=""):
    for _ in range(steps):
        clock.now += seconds
        observer.evaluated(count, section_id)


@pytest.mark.parametrize("expected", [1000, 0, 50])
def test_a_log_gets_a_line_at_most_every_30_seconds(said, clock, expected):
    with Progress() as observer:
        observer.begin({"1.8": ("requested", Cost(expected)), "1.9": ("requested", Cost(expected))})
        observer.section("1.8", "Anagrams")
        drawn(observer, clock, steps=100, seconds=1)
        observer.done("1.8", {**RECORD, "title": "Anagrams"})
        observer.section("1.9", "Hybrids")
        drawn(observer, clock, steps=29, seconds=1)
        observer.done("1.9", {**RECORD, "title": "Hybrids"})
        lines = [line for line in said().splitlines() if line.endswith(("left", "network"))]
        bars, lines = [line for line in lines if "━" in line], [line for line in lines if "━" not in line]
    of_all = " of 1,000" if expected == 1000 else ""
    left = {1000: [170, 140, 110], 0: [0, 0, 0], 50: [30, 60, 90]}[expected]  # of 50, the first took so much longer
    wanted = [
        f"1.8    {done}{of_all} evaluations of the network" + (f"; about {seconds} s left" if seconds else "")
        for done, seconds in zip((300, 600, 900), left, strict=True)
    ]
    if observer.console.is_terminal:  # the bars say it
        assert lines == []
        assert bool(bars) == bool(expected)
    else:
        assert [line for line in lines if "s;" not in line and " in " not in line] == wanted


@pytest.mark.parametrize("count", [10, 0])
def test_a_log_hears_of_workers_every_30_seconds_too(said, clock, count):
    """They draw several sections at a time; one that is done is told of as a whole. Even if nothing has happened."""
    with Progress() as observer:
        observer.begin({"1.8": ("requested", Cost(600)), "1.9": ("requested", Cost(400))})
        drawn(observer, clock, steps=65, seconds=1, count=count, section_id="1.8")
        observer.section("1.9", "Hybrids")
        observer.evaluated(400 - 32 * count // 10, "1.9")
        observer.done("1.9", {**RECORD, "title": "Hybrids"})
        drawn(observer, clock, steps=31, seconds=1, count=count, section_id="1.8")
    lines = [line for line in said().splitlines() if line.startswith("all ") and "of the network" in line]
    if observer.console.is_terminal:
        assert lines == []
    else:
        assert len(lines) == 3
        assert lines[0].startswith(f"all    {30 * count} of 1,000 evaluations of the network")


def test_slow_evaluations_get_a_line_each(said, clock):
    with Progress() as observer:
        observer.begin({"1.8": ("requested", Cost(40))})
        observer.section("1.8", "Anagrams")
        drawn(observer, clock, steps=2, seconds=600)
    if not observer.console.is_terminal:
        assert said().splitlines()[1:] == [
            "1.8    10 of 40 evaluations of the network; about 1800 s left",
            "1.8    20 of 40 evaluations of the network; about 1200 s left",
        ]


# --- the time left, by a simulated clock

PUBLISHED = {
    record["id"]: record
    for record in sorted(
        (json.loads(path.read_text()) for path in Path(__file__).parents[1].glob("site/records/*.json")),
        key=lambda record: section_key(record["id"]),
    )
}


def evaluations(record: dict, slower: float) -> list[float]:
    """The seconds of each evaluation of a section, in order, on a machine that is so much slower.

    Batches go through the timesteps together, stage by stage. One of stage 1 above t = 850 takes half as long.
    """
    steps = sorted(
        (walk["stage"], -walk["timesteps"][len(walk["timesteps"]) * k // walk["evaluations"]])
        for walk in record["trajectories"]
        for k in range(walk["evaluations"])
    )
    weights = [0.5 if stage == 1 and -t > 850 else 1.0 for stage, t in steps]
    found = []
    for stage in sorted({stage for stage, _ in steps}):
        of_stage = sum(walk["seconds"] for walk in record["trajectories"] if walk["stage"] == stage)
        own = [weight for (number, _), weight in zip(steps, weights, strict=True) if number == stage]
        found += [slower * of_stage * weight / sum(own) for weight in own]
    scale = slower * record["seconds"] / sum(found) if found else 0
    return [scale * seconds for seconds in found]


def simulated(clock, costs, slower, workers=1, chunk=24):
    """Draws the published sections; yields (section, seconds left as told, as it was) after each batch. slower: by
    section."""
    left, began, todo = TimeLeft(costs, workers), clock.now, sorted(costs, key=lambda key: -costs[key].whole)
    todo, events, free = (list(costs) if workers == 1 else todo), [], [began] * workers
    for section_id in todo:  # as processes take them, one after the other
        now = min(free)
        free.remove(now)
        events.append((now, "section", section_id, 0))
        seconds = evaluations(PUBLISHED[section_id], slower[section_id])
        for k in range(0, len(seconds), chunk):
            now += sum(seconds[k : k + chunk])
            events.append((now, "evaluated", section_id, len(seconds[k : k + chunk])))
        now = now if seconds else now + slower[section_id] * PUBLISHED[section_id]["seconds"]
        events.append((now, "done", section_id, 0))
        free.append(now)
    end, begun = max(free), {}
    for now, what, section_id, count in sorted(events, key=lambda event: event[0]):
        clock.now = now
        if what == "section":
            begun[section_id] = now
            if workers == 1:
                left.section(section_id)
        elif what == "evaluated":
            left.evaluations[section_id] += count
            yield section_id, left.seconds(), end - now
        else:
            if workers > 1:
                left.section(section_id)
            left.done(section_id, {"seconds": now - begun[section_id], "where": {"processor": "this one"}})


def check_true(told, first: set[str]) -> None:
    """Within a quarter from the second section on, or within two seconds at the very end."""
    later = [(said, was) for section_id, said, was in told if section_id not in first]
    assert len(later) > 300
    for said, was in later:
        assert said is not None
        assert abs(said - was) <= max(0.25 * was, 2)


@pytest.mark.parametrize("slower", [0.5, 1, 2, 7])
def test_the_time_left_is_true_from_the_second_section_on(clock, slower):
    costs = {section_id: Cost.of(PUBLISHED[section_id]) for section_id in PUBLISHED}
    check_true([*simulated(clock, costs, dict.fromkeys(costs, slower))], {"0"})


def test_it_is_true_where_sections_were_drawn_by_different_machines_last(clock):
    """Here those of one machine take twice as long, and those of the other a third."""
    costs = {section_id: Cost.of(record) for section_id, record in PUBLISHED.items()}
    slower = dict.fromkeys(costs, 2.0)
    for place, section_id in enumerate(costs):
        if place >= 6:
            slower[section_id] = 1 / 3
            costs[section_id] = Cost.of({**PUBLISHED[section_id], "where": {"processor": "another"}})
    order = [section_id for pair in zip([*costs][:6], [*costs][6:], strict=False) for section_id in pair]
    costs = {section_id: costs[section_id] for section_id in [*order, *(key for key in costs if key not in order)]}
    check_true([*simulated(clock, costs, slower)], set(order[:2]))


@pytest.mark.parametrize("workers", [2, 3])
def test_it_is_true_of_several_processes_once_the_first_is_done(clock, workers):
    costs = {section_id: Cost.of(record) for section_id, record in PUBLISHED.items()}
    told = [*simulated(clock, costs, dict.fromkeys(costs, 2.0), workers)]
    given = [place for place, (_, said, _) in enumerate(told) if said is not None]
    assert given[0] < len(told) / 2
    for _, said, was in told[given[0] :]:
        assert abs(said - was) <= max(0.25 * was, 2)


def test_there_is_no_number_before_there_is_one_to_give(clock):
    left = TimeLeft({"1.5": Cost(100, 10.0), "1.6": Cost(200, 20.0), "2.0": Cost()})
    assert left.seconds() is None
    left.section("1.5")
    left.evaluations["1.5"] = 10
    clock.now += LEAST / 2
    assert left.seconds("1.5") is None  # too little was measured
    clock.now += LEAST / 2
    assert left.seconds("1.5") == pytest.approx(9 * LEAST)
    assert left.seconds() is None  # nobody knows what 2.0 takes


def test_what_this_machine_drew_last_takes_as_long_again(clock):
    """Even if what was drawn so far took no time, so that no other can be compared with it."""
    here = {"processor": "this one"}
    record = {"evaluations": 100, "seconds": 10.0, "where": here}
    left = TimeLeft({"1.1": Cost.of({**record, "evaluations": 0, "seconds": 0.1}), "1.5": Cost.of(record)})
    left.section("1.1")
    left.done("1.1", {"seconds": 0.1, "where": here})
    assert left.seconds() == pytest.approx(10)
