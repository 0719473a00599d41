"""Records of sections that are not drawn yet: they know what the declarations say, and raise Undrawn for all else.

What the prose asks of the page can thus be checked before minutes of drawing, by the code that builds the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from generators.records.record import Panel, Record


class Undrawn(Exception):
    """Only drawing tells."""


class _Declared:
    """What has some of its fields; the others raise Undrawn. Two of them are equal only if they are the same."""

    def __init__(self, **known: Any) -> None:
        for name, value in known.items():
            object.__setattr__(self, name, value)  # the records are frozen

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(name) if name.startswith("_") else Undrawn(name)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class DeclaredPanel(_Declared, Panel):
    """A panel that a declaration announces."""


class DeclaredRecord(_Declared, Record):
    """A section that is declared."""


class Findings(Mapping[str, Any]):
    """The names of the values that `draw` may find, without the values."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Any:
        if name in self._names:
            raise Undrawn(name)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
