"""What a section declares: figures as plain data.

One dict, a case, calls `draw` and fills the label, the alt text and the record of a panel, so that a caption cannot
disagree with its picture. This module imports neither torch nor any model.
"""

from __future__ import annotations

import itertools
import json
import re
import string
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Case = Mapping[str, Any]
LONGEST_NAME = 60  # of a figure: it becomes part of file names


class DeclarationError(ValueError):
    """A figure or a section is declared wrongly. The message names it and says what to change."""


@dataclass(frozen=True)
class Panel:
    """What `draw` may return instead of a bare image: the image, and values found while drawing it.

    image: tensor (3, H, W) in -1 … 1.
    found: values that the record keeps and the label may name, such as a blur's sigma or a PSNR in dB.
    """

    image: Any
    found: Mapping[str, float | int | str] = field(default_factory=dict)


def each(**axes: Sequence[Any] | Any) -> tuple[dict[str, Any], ...]:
    """All combinations of the axes, the last one fastest; a value that is no list or tuple is one choice.

    >>> each(image="fox", t=(250, 500))
    ({'image': 'fox', 't': 250}, {'image': 'fox', 't': 500})
    """
    choices = [value if isinstance(value, (list, tuple)) else (value,) for value in axes.values()]
    return tuple(dict(zip(axes, values, strict=True)) for values in itertools.product(*choices))


def strip(field_name: str, values: Sequence[Any], **axes: Sequence[Any] | Any) -> tuple[dict[str, Any], ...]:
    """For each combination of the axes: one case a value, then the original, where the field is None.

    The field `show` says which it is: "i_start = 5", or "original".
    """
    return tuple(
        {**case, field_name: value, "show": "original" if value is None else f"{field_name} = {value}"}
        for case in each(**axes)
        for value in (*values, None)
    )


@dataclass(frozen=True)
class Figure:
    """One figure: a grid of panels, one a case.

    name: lower-case words joined by hyphens, unique in its section; "noisy" in 1.1 is figure 1.1-noisy.
    caption: may name fields that all the cases share, as in "The {image} at three noise levels".
    label: stands with each panel and may name any field of the case, or of `finds`.
    alt: says what the panel shows, for readers who do not see it; the same fields. Where that differs in kind, one text
        for each value of the case's field `show`, and one under "*" for all others.
    cases: the panels, in order; see `each`.
    draw: `draw(lab, **case)` returns the image, (3, H, W) in -1 … 1, or a `Panel`.
    row: groups the panels into rows, whose header it is; without it, all stand in one row.
    finds: the values that `draw` reports, by name.
    Raises DeclarationError where a template names an absent field or two panels of one row have equal labels.
    """

    name: str
    caption: str
    label: str
    alt: str | Mapping[str, str]
    cases: Sequence[Case]
    draw: Callable[..., Any]
    row: str = ""
    finds: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name) or len(self.name) > LONGEST_NAME:
            known = f"at most {LONGEST_NAME} letters and digits"
            raise DeclarationError(f"figure {self.name!r}: use lower-case words joined by hyphens, {known}")
        if not self.cases:
            raise DeclarationError(f"figure {self.name!r} has no cases")
        for case in self.cases:
            self._check(case)
        shared = set.intersection(*(set(case) for case in self.cases))
        constant = {key for key in shared if all(case[key] == self.cases[0][key] for case in self.cases)}
        found = dict.fromkeys(self.finds, 0)
        for template, text, fields in (
            ("caption", self.caption, constant),
            ("row", self.row, shared),
            ("label", self.label, shared | set(found)),
            *(("alt", text, shared | set(found)) for text in self._alts()),
        ):
            for name in self._fields(template, text) - fields:
                known = ", ".join(sorted(fields)) or "none"
                raise DeclarationError(f"figure {self.name!r}: {template} names {{{name}}}; the fields are: {known}")
        for case in self.cases:
            if not isinstance(self.alt, str) and not {case.get("show"), "*"} & set(self.alt):
                known = ", ".join(sorted(self.alt))
                raise DeclarationError(
                    f"figure {self.name!r}: alt has no text for {case.get('show')!r}; it has: {known}"
                )
        if not self._fields("label", self.label) & set(found):  # a label with found values is known only once drawn
            try:
                labels = [(self.row_of(case), self.label_of(case)) for case in self.cases]
            except (ValueError, LookupError, AttributeError, TypeError) as error:
                raise DeclarationError(f"figure {self.name!r}: row or label cannot be filled: {error}") from None
            for twice in (pair for pair in labels if labels.count(pair) > 1):
                raise DeclarationError(
                    f"figure {self.name!r}: two panels have the label {' / '.join(filter(None, twice))!r}"
                )

    def _check(self, case: Case) -> None:
        """Refuse a case that could not be handed to `draw`, or not be recorded."""
        if not isinstance(case, Mapping) or not all(isinstance(name, str) for name in case):
            raise DeclarationError(f"figure {self.name!r}: the case {case!r} is no dict of named fields; see `each`")
        if "lab" in case:
            raise DeclarationError(f"figure {self.name!r}: a case cannot have a field 'lab'; draw gets the lab so")
        try:
            json.dumps(dict(case), allow_nan=False)
        except (TypeError, ValueError) as error:
            wrong = f"{error}; use texts, finite numbers, lists and None"
            raise DeclarationError(f"figure {self.name!r}: a case cannot be recorded: {wrong}") from None
        for text in (self.caption, self.row, self.label, *self._alts(), *_texts(case)):
            for letter in text:
                if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp"):
                    wrong = f"the control character U+{ord(letter):04X} in {text[:40]!r}; remove it"
                    raise DeclarationError(f"figure {self.name!r}: {wrong}")

    def _alts(self) -> list[str]:
        return [self.alt] if isinstance(self.alt, str) else list(self.alt.values())

    def _fields(self, template: str, text: str) -> set[str]:
        """The fields that a text of the figure names; template: what the text is for."""
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError as error:
            wrong = f"{error}; write {{{{ and }}}} for plain braces"
            raise DeclarationError(f"figure {self.name!r}: {template} does not parse: {wrong}") from None
        return {name.split(".")[0].split("[")[0] for _, name, _, _ in parsed if name is not None}

    def caption_text(self) -> str:
        return self.caption.format_map(self.cases[0])

    def row_of(self, case: Case) -> str:
        return self.row.format_map(case)

    def label_of(self, case: Case, found: Mapping[str, Any] | None = None) -> str:
        return self.label.format_map({**case, **(found or {})})

    def alt_of(self, case: Case, found: Mapping[str, Any] | None = None) -> str:
        text = self.alt if isinstance(self.alt, str) else self.alt.get(case.get("show", "*"), self.alt.get("*", ""))
        return text.format_map({**case, **(found or {})})


@dataclass(frozen=True)
class Section:
    """One deliverable of the assignment: its number, such as "1.7.2", its title, and its figures in page order."""

    id: str
    title: str
    figures: Sequence[Figure]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", self.id):
            raise DeclarationError(f"section {self.id!r}: the id is numbers joined by dots, such as 1.7.2")
        names = [figure.name for figure in self.figures]
        for name in names:
            if names.count(name) > 1:
                raise DeclarationError(f"section {self.id}: two figures are named {name!r}")


def section_key(section_id: str) -> tuple[int, ...]:
    """Sorts section ids by number: 1.10 comes after 1.9."""
    return tuple(int(part) for part in section_id.split("."))


def _texts(value: Any) -> list[str]:
    """All texts in a case, however deep."""
    if isinstance(value, Mapping):
        return [text for pair in value.items() for item in pair for text in _texts(item)]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []
