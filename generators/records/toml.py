"""Reads TOML into models of pydantic; says in one line what is wrong, and on which line of the file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import SettingsError

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]  # the keys and indices that lead to a value
Wrong = tuple[Place, str]  # where something is wrong, and what


def read(path: Path, kind: type[Model], contradictions: Callable[[Model], Iterable[Wrong]]) -> Model:
    """Reads a TOML file as a model of pydantic. contradictions: tells where its values do not fit each other.

    Raises SettingsError, one line for each mistake, with the number of its line.
    """
    where = "/".join(path.parts[-2:])
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{where}: the file is missing; restore it with `git checkout -- {where}`") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{where}: not UTF-8; save it again as UTF-8") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said, _, place = str(error).partition(" (at ")
        number = re.match(r"line (\d+)", place)
        line = number[1] if number else len(text.splitlines())
        raise SettingsError(f"{where}:{line}: not TOML: {said}; see https://toml.io") from None
    try:
        found = kind.model_validate(_frozen(table))
        wrong = list(contradictions(found))
    except ValidationError as error:
        wrong = [(each["loc"], _said(each)) for each in error.errors(include_url=False)]
    if wrong:
        found_at = sorted((line_of(text, place), f"{_named(place)}{said}") for place, said in wrong)
        raise SettingsError("\n".join(f"{where}:{line}: {said}" for line, said in found_at))
    return found


def line_of(text: str, place: Place) -> int:
    """Returns the line, counted from 1, on which a value of a TOML text begins; of an absent one, that of its table.

    The lines up to there are TOML in themselves, and with the value's they contain it.
    """
    lines, before = text.splitlines(), 0
    while place and not _contains(tomllib.loads(text), place):
        place = place[:-1]
    for count in range(1, len(lines) + 1) if place else ():
        try:
            table = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # within a value of several lines
        if _contains(table, place):
            break
        before = count
    return before + 1


def _contains(table: Any, place: Place) -> bool:
    for key in place:
        try:
            table = table[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _frozen(value: Any) -> Any:
    """Returns TOML values with tuples in place of lists."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _named(place: Place) -> str:
    """Returns the dotted name of a place, and a colon: "anagrams.pairs[1].name: "."""
    name = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).removeprefix(".")
    return f"{name}: " if name else ""


def _said(error: Any) -> str:
    """Returns what is wrong with a value, from pydantic's error."""
    match error["type"]:
        case "extra_forbidden":
            return "there is no such key; correct or remove it"
        case "missing":
            return "is missing; add it"
        case "value_error":
            return str(error["ctx"]["error"])
    said = error["msg"][0].lower() + error["msg"][1:]
    return f"{said}; found {error['input']!r:.60}"
