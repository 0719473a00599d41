"""What a text of the report may contain, how figures are named, and the names of the models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MODELS = ("pocket", "deepfloyd", "deepfloyd-l", "deepfloyd-m")  # `generators.models` has a provider for each
LONGEST_NAME = 60  # characters of a figure's name, which becomes part of file names
LONGEST_TEXT = 300  # characters of a text in a case: T5 reads 77 tokens of a prompt, of about four characters each
NAME = r"[a-z0-9]+(?:-[a-z0-9]+)*"  # of a figure
SECTION = r"[0-9]+(?:\.[0-9]+)*"  # the id of a section

# Control characters, line and paragraph separators, surrogates, and the characters that set the direction of text,
# which can make one text look like another ("bidirectional text spoofing", Unicode Technical Report 36).
CONTROL = r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"


def control_character(text: str) -> str | None:
    """Returns the first forbidden character of a text, as "the control character U+202E"; None if there is none."""
    found = re.search(CONTROL, text)
    return f"the control character U+{ord(found[0]):04X}" if found else None


def wrong_text(text: str) -> str | None:
    """Returns what is wrong with a text of a case or a prompt and how to correct it; None if it is valid."""
    if len(text) > LONGEST_TEXT:
        limit = f"at most {LONGEST_TEXT} are allowed, about the 77 tokens that DeepFloyd's text encoder reads"
        return f"the text {text[:20]!r}… has {len(text):,} characters; {limit}; shorten it"
    found = control_character(text)
    return f"{found} in {text[:40]!r}; remove it" if found else None


def section_key(section_id: str) -> tuple[int, ...]:
    """Returns the sort key of a section id, by number: 1.10 comes after 1.9."""
    return tuple(int(number) for number in section_id.split("."))


def walk(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yields a JSON value and all those in it, with their places, such as figures[0].panels[2].label."""
    yield place, value
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from walk(item, f"{place}.{name}" if place else name)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from walk(item, f"{place}[{number}]")
