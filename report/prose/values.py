"""Formats values for readers: sensible digits, units, compact timesteps, and what panels have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from generators.records.record import Panel
from report.records.undrawn import Undrawn

UNITS = {"psnr": "dB", "seconds": "s"}
DIGITS = {"psnr": 1, "ssim": 2, "seconds": 1, "lpips": 2}
# Names for readers; other names are shown as they are, without underscores.
TITLES = {"psnr": "PSNR", "ssim": "SSIM", "sigma": "σ", "lpips": "LPIPS", "mse": "MSE"}
SHORT = 5  # timesteps that are listed in full
SPACE = "\u00a0"  # between a number and its unit

_QUOTED = r'"(?:[^"\n]|"")*+"'  # "a dog, running": a text with commas and brackets; "" stands for a quote in it
CONDITIONS = rf"\[(?:=[ ]*{_QUOTED}|[^\]\n])*+\]"  # what chooses panels, as in [prompt="a dog, running",k=0]
_BEGIN = r"(?:^|[=,:|])\s*"  # what may precede a quoted text


def says_nothing(alt: str) -> bool:
    """Whether an alt text tells nothing about its picture."""
    return alt.strip().lower() in ("", "image", "figure", "picture", "photo")


def title(name: str) -> str:
    """Returns a value's name for readers: psnr becomes PSNR."""
    return TITLES.get(name, name.replace("_", " "))


def shown(name: str, value: Any, unit: bool = True) -> str:
    """Formats a value of a record: 21.3 dB, 0.71, 1,234, yes, 990, 960 … 0 (34 steps)."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return compact(value) if name == "timesteps" else ", ".join(shown(name, item) for item in value)
    if not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        text = f"{value:,}"
    elif name in DIGITS:
        text = f"{value:,.{DIGITS[name]}f}"
    else:
        text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    text = text.replace("-", "\u2212")
    return f"{text}{SPACE}{UNITS[name]}" if unit and name in UNITS else text


def compact(timesteps: Sequence[int]) -> str:
    """Formats a trajectory's timesteps in one line: 990, 960 … 0 (34 steps).

    Where they rise, as in RePaint, the image is noised again, which takes no step of the network: 990, 960 … 0 (244
    steps; noised again 21 times).
    """
    rises = _rises(timesteps)
    if len(timesteps) <= SHORT and not any(rises):
        return stretch(timesteps)
    taken = f"{steps(timesteps)} steps"
    if jumps := sum(rise and not before for before, rise in zip([False, *rises], rises, strict=False)):
        taken += f"; noised again {jumps} times"
    return f"{stretch(timesteps)} ({taken})"


def stretch(timesteps: Sequence[int]) -> str:
    """Formats the timesteps alone: 990, 960 … 0."""
    if len(timesteps) <= SHORT:
        return ", ".join(map(str, timesteps))
    return f"{timesteps[0]}, {timesteps[1]} … {timesteps[-1]}"


def steps(timesteps: Sequence[int]) -> int:
    """Returns how many steps of the network a trajectory takes; noising again takes none."""
    return len(timesteps) - sum(_rises(timesteps))


def _rises(timesteps: Sequence[int]) -> list[bool]:
    return [later > earlier for earlier, later in pairwise(timesteps)]


def duration(seconds: float) -> str:
    """Formats seconds: 12.3 s, 4 min 10 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{SPACE}h {minutes}{SPACE}min" if hours else f"{minutes}{SPACE}min {rest}{SPACE}s"


def ranges(numbers: Iterable[int]) -> str:
    """Formats seeds in one line: 42–46, 50."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" if b > a + 1 else f"{a}, {b}" for a, b in runs)


def vary(panels: Sequence[Panel], text: Callable[[Panel], str]) -> list[tuple[str, str]]:
    """Returns (panels, text) for each distinct text; one pair with an empty first part if all panels agree."""
    groups: dict[str, list[Panel]] = {}
    for panel in panels:
        groups.setdefault(text(panel), []).append(panel)
    if len(groups) == 1:
        return [("", next(iter(groups)))]
    return [(_which(members, panels), found) for found, members in groups.items()]


def _which(members: Sequence[Panel], panels: Sequence[Panel]) -> str:
    """Names some panels by what distinguishes them: row, label or both; by number if they are many."""
    rest = [panel for panel in panels if panel not in members]
    for part in (lambda panel: panel.row, lambda panel: panel.label, lambda panel: panel.name):
        names, others = dict.fromkeys(map(part, members)), dict.fromkeys(map(part, rest))
        if all(names) and not names.keys() & others.keys():
            if 0 < len(others) < len(names) and all(others):
                return f"all but {'; '.join(others)}"
            if len(names) <= 6:
                return "; ".join(names)
    numbers = ranges(panel.number for panel in members)
    return f"panel {numbers}" if len(members) == 1 else f"panels {numbers}"


def split(text: str, separator: str) -> list[str]:
    """Splits a text at a character outside of quoted texts, and strips the parts.

    >>> split('prompt="a dog, running", k=0', ",")
    ['prompt="a dog, running"', 'k=0']
    """
    hidden = re.sub(rf"({_BEGIN})({_QUOTED})", lambda match: match[1] + "_" * len(match[2]), text)
    ends = [place for place, character in enumerate(hidden) if character == separator]
    return [
        text[first:end].strip() for first, end in zip([0, *(end + 1 for end in ends)], [*ends, len(text)], strict=True)
    ]


def unquoted(text: str) -> str:
    """Returns a quoted text without its quotes, and another one as it is.

    >>> unquoted('"a sign saying ""hi"", red"')
    'a sign saying "hi", red'
    """
    return text[1:-1].replace('""', '"') if re.fullmatch(_QUOTED, text) else text


def select(panels: Sequence[Panel], selector: str) -> list[Panel]:
    """Returns the panels selected by `t=250,show=blurred`; fields of the case, the findings or the panel.

    A value with a comma or a bracket is quoted: `prompt="a dog, running",k=0`. Raises LookupError for an unknown field,
    and Undrawn if only drawing tells what is selected.
    """
    chosen = list(panels)
    unknown: Undrawn | None = None
    for condition in filter(None, split(selector, ",")):
        name, equals, wanted = (part.strip() for part in condition.partition("="))
        if not equals:
            raise LookupError(
                f"{condition!r} is not a condition; write name=value, and a value with a comma in quotes, "
                'as in prompt="a dog, running"'
            )
        kept = []
        for panel in chosen:
            try:
                if _same(field(panel, name), unquoted(wanted)):
                    kept.append(panel)
            except Undrawn as error:
                unknown = error
                kept.append(panel)
        chosen = kept
    if chosen and unknown:
        raise unknown
    return chosen


def closest(panels: Sequence[Panel], selector: str) -> tuple[list[Panel], list[str]]:
    """Returns the panels that meet the conditions of a selector, one after the other, and those that are passed over
    because they would leave none. Raises what `select` raises."""
    chosen, unmet = list(panels), []
    for condition in filter(None, split(selector, ",")):
        if met := select(chosen, condition):
            chosen = met
        else:
            unmet.append(condition)
    return chosen, unmet


def choices(panels: Sequence[Panel]) -> str:
    """Lists, for a message, by which fields of their cases some panels can be told apart: t = 250, 500; k = 0, 1."""
    names = dict.fromkeys(name for panel in panels for name in panel.case)
    options = {name: _written(panel.case[name] for panel in panels if name in panel.case) for name in names}
    if not any(len(found) > 1 for found in options.values()):
        options = {name: _written(getattr(panel, name) for panel in panels) for name in ("row", "label")}
    return "; ".join(f"{name} = {_listed(found)}" for name, found in options.items() if len(found) > 1)


def nearest(panels: Sequence[Panel], selector: str) -> str:
    """Says, for a message, which values the first field that excludes all panels has among the others' choice."""
    conditions = list(filter(None, split(selector, ",")))
    for number in range(1, len(conditions) + 1):
        with suppress(Undrawn):
            if select(panels, ",".join(conditions[:number])):
                continue
            chosen = panels if number == 1 else select(panels, ",".join(conditions[: number - 1]))
            name = conditions[number - 1].partition("=")[0].strip()
            return f"{name} is {_listed(_written(field(panel, name) for panel in chosen), ' or ')}"
    return f"the fields are {choices(panels)}"


def _written(found: Iterable[Any]) -> list[str]:
    """Returns the distinct values as a selector writes them."""
    texts = dict.fromkeys(str(value) if isinstance(value, (int, float)) else shown("", value) for value in found)
    return [f'"{text.replace(chr(34), chr(34) * 2)}"' if re.search(r'[],]|^"', text) else text for text in texts]


def _listed(words: Sequence[str], last: str = ", ", most: int = 12) -> str:
    """Joins words; of many, the first and the number of the others."""
    if len(words) > most:
        return f"{', '.join(words[:most])} … ({len(words)} in all)"
    return last.join(filter(None, (", ".join(words[:-1]), words[-1])))


def field(panel: Panel, name: str) -> Any:
    """Returns a finding, a field of the case, or one of the panel itself. Raises LookupError if there is none."""
    for source in (panel.found, panel.case):
        if name in source:
            return source[name]
    own = ("row", "label", "seeds", "prompts", "gamma", "timesteps", "evaluations", "width", "height", "origin")
    if name in own:
        return getattr(panel, name)
    known = ", ".join(sorted({*panel.found, *panel.case})) or "none"
    raise LookupError(f"no field {name!r}; the panel has: {known}")


def _same(value: Any, wanted: str) -> bool:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(wanted) == value
        except ValueError:
            return False
    return shown("", value) == wanted or str(value) == wanted
