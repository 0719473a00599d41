"""Observations: what an author saw in pictures, bound to those pictures.

    /// seen | 0-stages[steps=50] 8f3a1c2d
    The robot dreams of a white sheep.
    ///

The block names figures, or panels of them, each with a digest of their pixels; several are separated by `|`. Where the
page shows other pictures, the block is left out. Blocks of the same figures that follow each other are alternatives,
for example one for each model; where one of them fits, the others are not outdated. `report observe` writes the
digests. A line `[//]: # (…)` is a comment, as everywhere in Markdown; a block without text is yet to be written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from generators.records import files
from generators.records.errors import ObservationError
from generators.records.record import Panel
from report.records.undrawn import Undrawn

DIRECTIVE = "seen"
DIGITS = 8  # of a digest, hexadecimal
_BOUND = re.compile(rf"(?P<target>.*\S)\s+(?P<digest>[0-9a-f]{{{DIGITS}}})")
_COMMENT = re.compile(r"\[//\]: # \(.*\)\s*")


def digest(panels: Sequence[Panel]) -> str:
    """Returns what stands for the pixels of these panels, in order. Raises Undrawn if they are not drawn."""
    return hashlib.sha256("".join(panel.pixels for panel in panels).encode()).hexdigest()[:DIGITS]


@dataclass
class Observation:
    """One block of a prose file.

    first, last: its lines, counted from 1. targets: what it names, such as 0-stages[steps=50]. then: the digests of
    what its author saw, "" where none is given; now: of what the page shows, "" where it shows no such panel, None if
    it is not drawn yet. block: these lines; text: those between.
    """

    path: Path
    first: int
    targets: list[str]
    then: list[str]
    now: list[str | None]
    last: int = 0
    block: Sequence[str] = ()

    @property
    def text(self) -> Sequence[str]:
        return self.block[1:-1]

    @property
    def figures(self) -> list[str]:
        """The ids of the figures that it speaks of."""
        return list(dict.fromkeys(target.partition("[")[0] for target in self.targets))

    @property
    def holds(self) -> bool:
        """Whether the page shows what its author saw, or may do so once it is drawn."""
        return all(now is None or now == then != "" for then, now in zip(self.then, self.now, strict=True))

    @property
    def is_empty(self) -> bool:
        return not any(line.strip() and not _COMMENT.fullmatch(line) for line in self.text)

    @property
    def why(self) -> str:
        """Says why it is outdated."""
        if not all(self.then):
            return f"not bound to pictures of {', '.join(self.targets)} yet"
        pairs = zip(self.targets, self.then, self.now, strict=True)
        changed = [target for target, then, now in pairs if now is not None and now != then]
        return f"written about other pictures of {', '.join(changed)}"


def read(path: Path, line: int, arguments: Iterable[str], shown: Callable[[str], str]) -> Observation:
    """Reads the opening line of a block. shown: returns the digest of a target as the page shows it, and raises Undrawn
    or LookupError."""
    found = Observation(path, line, [], [], [])
    for argument in arguments:
        bound = _BOUND.fullmatch(argument)
        target = bound["target"] if bound else argument
        found.targets.append(target)
        found.then.append(bound["digest"] if bound else "")
        try:
            found.now.append(shown(target))
        except Undrawn:
            found.now.append(None)
    return found


def alternatives(observations: Sequence[Observation]) -> list[list[Observation]]:
    """Returns the observations of one file in groups: those of the same figures with nothing between them."""
    lines = observations[0].path.read_text(encoding="utf-8").splitlines() if observations else []
    groups: list[list[Observation]] = []
    for found in observations:
        before = groups[-1][-1] if groups else None
        if before and before.targets == found.targets and not any(map(str.strip, lines[before.last : found.first - 1])):
            groups[-1].append(found)
        else:
            groups.append([found])
    return groups


def outdated(observations: Sequence[Observation]) -> list[Observation]:
    """Returns those written observations of one file that do not fit, and to which no alternative fits."""
    return [
        found
        for group in alternatives(observations)
        if not any(each.holds and not each.is_empty for each in group)
        for found in group
        if not found.holds and not found.is_empty
    ]


def remove(path: Path, found: Sequence[Observation]) -> None:
    """Takes observations out of their file, each with the blank lines below it."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for each in sorted(found, key=lambda each: -each.first):
        last = each.last
        while last < len(lines) and not lines[last].strip():
            last += 1
        del lines[each.first - 1 : last]
    files.write(path, "".join(lines).rstrip() + "\n")


def accept(found: Observation, text: str | None = None) -> int:
    """Binds an observation to what the page shows now, and replaces its text if one is given. Returns by how many lines
    the file grew. Raises ObservationError.

    The file is written only if the block stands there as it was read.
    """
    place = f"{found.path.name}:{found.first}"
    missing = [target for target, now in zip(found.targets, found.now, strict=True) if not now]
    if missing:
        raise ObservationError(f"{place}: the page shows no {missing[0]}; change what the block names")
    lines = found.path.read_text(encoding="utf-8").splitlines(keepends=True)
    if [line.rstrip("\r\n") for line in lines[found.first - 1 : found.last]] != found.block:
        raise ObservationError(f"{place}: the file changed meanwhile; run the same command again")
    written = [header(found.targets, found.now), *(found.text if text is None else text.strip("\n").splitlines())]
    lines[found.first - 1 : found.last - 1] = [f"{line}\n" for line in written]
    files.write(found.path, "".join(lines))
    found.then = [now or "" for now in found.now]
    return len(written) + 1 - len(found.block)


def header(targets: Sequence[str], digests: Sequence[str | None]) -> str:
    """Returns the opening line of a block."""
    return " | ".join([f"/// {DIRECTIVE}", *_arguments(targets, digests)])


def _arguments(targets: Sequence[str], digests: Sequence[str | None]) -> list[str]:
    return [f"{target} {now}" if now else target for target, now in zip(targets, digests, strict=True)]


def start(path: Path, figure: str, shown: str, question: str = "") -> None:
    """Puts an empty observation below a figure, or at the end of prose that does not place it; a new file has both.

    shown: the digest of the figure's panels, "" if they are not drawn. question: a comment in it.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    empty = f"{header([figure], [shown])}\n{f'[//]: # ({question})' if question else ''}\n///\n"
    placed = re.search(rf"(?ms)^/// fig \| {re.escape(figure)}(?: .*?)?$.*?^///[/ \t]*$\n?", text)
    if placed:
        files.write(path, f"{text[: placed.end()]}\n{empty}{text[placed.end() :]}")
    else:
        files.write(path, f"{text.rstrip()}\n\n/// fig | {figure}\n///\n\n{empty}".lstrip())
