"""The words that pocket has learned: those of its training captions, in words.json beside this module.

`python -m generators.making.judging.labelled` writes that file. This module does not import torch.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("words.json")
MOST = 4  # words that a hint lists
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_FUNCTION_WORDS = frozenset(
    "a about above across after against along an and around as at before behind below beside between by down during "
    "for from he her his i in inside into is it its like my near next of off on onto or our out outside over she some "
    "that the their them there these they this through to together towards two under up upon very we with without you "
    "your".split()
)


@cache
def vocabulary() -> dict[str, Any]:
    """Returns what the captions name: `names`, each with its synonyms; `styles`, before them; `places` and `ignored`,
    after them; and `nameless`, captions that name nothing."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def listing() -> list[str]:
    """Returns the vocabulary in lines for readers."""
    known = vocabulary()
    places = [place for place in (*known["places"], *known["ignored"]) if place]
    return [
        f"styles: {', '.join(f'{style} …' for style in known['styles'] if style)}",
        f"places: {', '.join(f'… {place}' for place in places)}",
        f"whole prompts: {', '.join(known['nameless'])}",
        "things, each with its synonyms:",
        *(f"  {', '.join(names)}" for names in known["names"]),
    ]


def hint(prompt: str) -> str:
    """Returns that pocket has not learned the words of a prompt, if it has learned none of them; otherwise "".

    Style and place do not count. A thing is known by its whole name or the name's last word, also in the plural: "tree"
    by "a pine tree".
    """
    known = vocabulary()
    if not prompt.strip() or prompt in known["nameless"]:
        return ""
    text = prompt.lower()
    for style in sorted(filter(None, (*known["styles"], *(f"{one} of" for one in known["nameless"]))), key=len)[::-1]:
        text = text.removeprefix(f"{style} ")
    for place in filter(None, (*known["places"], *known["ignored"])):
        text = text.removesuffix(f" {place}")
    words = _words(text)
    said = f" {' '.join(map(_singular, words))} "
    if not words or any(f" {name} " in said for name in _names()):
        return ""
    listed = [f"‘{word}’" for word in words[:MOST]]
    several = f"{', '.join(listed[:-1])} or {listed[-1]}" if len(listed) > 1 else listed[0]
    return f"pocket has not learned {several}; it draws something else"


@cache
def _names() -> frozenset[str]:
    """Returns all names without function words, and the last word of each, in the singular."""
    names = [[*map(_singular, _words(name.lower()))] for names in vocabulary()["names"] for name in names]
    return frozenset(word for name in names for word in (" ".join(name), name[-1]))


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if word not in _FUNCTION_WORDS]


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
