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
