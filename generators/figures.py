"""Declarations of sections and their figures, as plain data.

A case is one dict. It is passed to `draw` and fills the label, the alt text and the record of a panel, so a caption
cannot disagree with its picture. This module imports neither torch nor any model.
"""

from __future__ import annotations

import itertools
import json
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .records.errors import DeclarationError
from .records.texts import LONGEST_NAME, NAME, SECTION, control_character, walk, wrong_text

Case = Mapping[str, Any]
_FORMAT_SPEC = re.compile(r"(?:.?[<>=^])?[-+ ]?#?0?[0-9]{0,2}[,_]?(?:\.[0-9]{1,2})?[bdeEfFgGosxX%]?")


@dataclass(frozen=True)
class Panel:
    """An image with measured values, which `draw` may return instead of a bare image.

    image: floating-point tensor (3, H, W) in -1 … 1, where H = W is 64, 256 or 1024 pixels, the sizes of the cascade's
        three stages. Values outside -1 … 1 are clipped; NaN and infinity are refused.
    found: finite numbers and texts for the record, which label and alt text may name, such as a blur's sigma in pixels
        or a PSNR in dB. Numbers are rounded to four decimals.
    """

    image: Any
    found: Mapping[str, float | int | str] = field(default_factory=dict)


def each(**axes: Sequence[Any] | Any) -> tuple[dict[str, Any], ...]:
    """Returns all combinations of the axes, the last one fastest. A value that is not a list or tuple is fixed.

    >>> each(image="fox", t=(250, 500))
    ({'image': 'fox', 't': 250}, {'image': 'fox', 't': 500})
    """
    choices = [value if isinstance(value, (list, tuple)) else (value,) for value in axes.values()]
    return tuple(dict(zip(axes, values, strict=True)) for values in itertools.product(*choices))


def strip(field_name: str, values: Sequence[Any], **axes: Sequence[Any] | Any) -> tuple[dict[str, Any], ...]:
    """Returns, for each combination of the axes, one case per value and one for the original, where the field is None.

    The field `show` describes the case: "i_start = 5", or "original".
    """
    return tuple(
        {**case, field_name: value, "show": "original" if value is None else f"{field_name} = {value}"}
        for case in each(**axes)
        for value in (*values, None)
    )


def sentence(words: str) -> str:
    """Returns the words with a capital first letter, as the beginning of a caption."""
    return words[:1].upper() + words[1:]


@dataclass(frozen=True)
class Figure:
    """One figure: a grid of panels, one per case.

    name: lower-case words joined by hyphens, unique in its section; "noisy" in 1.1 is figure 1.1-noisy.
    caption: may name fields that have the same value in all cases, as in "The {image} at three noise levels".
    label: the text of each panel; may name any field of the case, or of `finds`.
    alt: describes the panel for readers who cannot see it; may name the same fields. Either one text, or a dict with a
        text for each value of the case's field `show`, and under "*" for all others.
    cases: the panels, in order; see `each`. Values are texts of at most LONGEST_TEXT characters, finite numbers,
        booleans, None, lists, and dicts with texts as keys.
    draw: `draw(lab, **case)` returns an image as defined in `Panel`, or a `Panel`.
    row: the header of each row, which groups the panels; without it, all panels are in one row.
    finds: the names of the values that `draw` may return in `Panel.found`.
    called: for a field, the words that stand for its values in all texts, as in {"image": {"fox": "red fox"}}.
    A figure of pictures with several readings has a field for each reading's prompt, and `show` names the one that a
    panel shows; see `reading`.
    Texts name a field as `{t}`, or with a format as `{psnr:.1f}`; indices, attributes and conversions are refused.
    Raises DeclarationError if any of this does not hold, or if two panels of one row have equal labels.
    """

    name: str
    caption: str
    label: str
    alt: str | Mapping[str, str]
    cases: Sequence[Case]
    draw: Callable[..., Any]
    row: str = ""
    finds: Sequence[str] = ()
    called: Mapping[str, Mapping[Any, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name) or len(self.name) > LONGEST_NAME:
            raise self._error(f"use lower-case words joined by hyphens, at most {LONGEST_NAME} characters")
        if not self.cases:
            raise DeclarationError(f"figure {self.name!r} has no cases")
        for case in self.cases:
            self._check_case(case)
        self._check_texts()
        self._check_filled()

    def _error(self, wrong: str) -> DeclarationError:
        return DeclarationError(f"figure {self.name!r}: {wrong}")

    def _check_case(self, case: Case) -> None:
        """Rejects a case that cannot be passed to `draw` or recorded."""
        if not isinstance(case, Mapping) or not all(isinstance(name, str) for name in case):
            raise self._error(f"the case {case!r} is not a dict of named fields; see `each`")
        if "lab" in case:
            raise self._error("a case cannot have a field 'lab'; draw receives the lab under that name")
        try:
            json.dumps(dict(case), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise self._error(
                f"a case cannot be recorded: {error}; use texts, finite numbers, lists and None"
            ) from None
        for name, value in case.items():
            for _, part in walk({name: value}):
                for text in part if isinstance(part, Mapping) else [part]:
                    if isinstance(part, Mapping) and not isinstance(text, str):
                        raise self._error(
                            f"a case cannot be recorded: {text!r} is the key of a dict; use texts as keys"
                        )
                    if isinstance(text, str) and (wrong := wrong_text(text)):
                        raise self._error(f"field {name[:40]!r} of a case: {wrong}")

    def _check_texts(self) -> None:
        """Rejects a text with a control character or an absent field, and a value of `show` without an alt text."""
        shared = set.intersection(*(set(case) for case in self.cases))
        constant = {key for key in shared if all(case[key] == self.cases[0][key] for case in self.cases)}
        drawn = shared | set(self.finds)
        alts = {"": self.alt} if isinstance(self.alt, str) else self.alt
        for template, text, fields in (
            ("caption", self.caption, constant),
            ("row", self.row, shared),
            ("label", self.label, drawn),
            *(("alt", text, drawn) for text in alts.values()),
        ):
            if found := control_character(text):
                raise self._error(f"{found} in {text[:40]!r}; remove it")
            for name in self._fields(template, text) - fields:
                known = ", ".join(sorted(fields)) or "none"
                raise self._error(f"{template} names {{{name}}}; the fields are: {known}")
        for case in self.cases:
            if not isinstance(self.alt, str) and not {case.get("show"), "*"} & set(self.alt):
                raise self._error(f"alt has no text for {case.get('show')!r}; it has: {', '.join(sorted(self.alt))}")

    def _check_filled(self) -> None:
        """Rejects a format that does not fit its value, and two panels of one row with equal labels.

        Skips texts that name a value of `finds`, which is known only after drawing.
        """
        panels = []
        for case in self.cases:
            filled = {}
            for template, fill in (
                ("caption", lambda case: self.caption.format_map(self._words(case))),
                ("row", self.row_of),
                ("label", self.label_of),
                ("alt", self.alt_of),
            ):
                try:
                    filled[template] = fill(case)
                except KeyError:  # a value of `finds`: all other fields are present
                    continue
                except (ValueError, TypeError, OverflowError) as error:
                    raise self._error(f"{template} cannot be filled: {error}") from None
            if (panel := (filled["row"], filled.get("label"))) in panels and panel[1] is not None:
                raise self._error(f"two panels have the label {' / '.join(filter(None, panel))!r}")
            panels.append(panel)

    def _fields(self, template: str, text: str) -> set[str]:
        """Returns the fields that the text names. template: the name of the text, for error messages."""
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError as error:
            raise self._error(f"{template} does not parse: {error}; write {{{{ and }}}} for plain braces") from None
        names = set()
        for _, name, spec, conversion in parsed:
            if name is None:  # plain text after the last field
                continue
            if conversion or set(name) & set(".[") or not _FORMAT_SPEC.fullmatch(spec or ""):
                written = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
                allowed = "write the name of a field, with a format if needed, such as {psnr:.1f}"
                raise self._error(f"{template} has {{{written[:40]}}}; {allowed}")
            names.add(name)
        return names

    def caption_text(self) -> str:
        """Returns the caption with its fields filled in."""
        return self.caption.format_map(self._words(self.cases[0]))

    def row_of(self, case: Case) -> str:
        """Returns the row header of this case's panel; "" if the figure has no rows."""
        return self.row.format_map(self._words(case))

    def label_of(self, case: Case, found: Mapping[str, Any] | None = None) -> str:
        """Returns the label of this case's panel. Raises KeyError if it names a value that `found` lacks."""
        return self.label.format_map({**self._words(case), **(found or {})})

    def alt_of(self, case: Case, found: Mapping[str, Any] | None = None) -> str:
        """Returns the alt text of this case's panel. Raises KeyError if it names a value that `found` lacks."""
        text = self.alt if isinstance(self.alt, str) else self.alt.get(case.get("show", "*"), self.alt.get("*", ""))
        return text.format_map({**self._words(case), **(found or {})})

    def _words(self, case: Case) -> dict[str, Any]:
        """Returns the fields of a case as texts name them."""
        return {**case, **{name: words.get(case.get(name), case.get(name)) for name, words in self.called.items()}}


def reading(case: Case) -> str | None:
    """Returns the prompt that a panel should show, the field that `show` names; None if it names none.

    >>> reading({"upright": "a dog", "flipped": "a lion", "show": "flipped", "k": 0})
    'a lion'
    """
    return case.get(case.get("show", ""))


@dataclass(frozen=True)
class Section:
    """One deliverable of the assignment: its number, such as "1.7.2", its title, and its figures in page order.

    Raises DeclarationError for a malformed id, a control character in the title, or two figures with the same name.
    """

    id: str
    title: str
    figures: Sequence[Figure]

    def __post_init__(self) -> None:
        if not re.fullmatch(SECTION, self.id):
            raise DeclarationError(f"section {self.id!r}: the id must be numbers joined by dots, such as 1.7.2")
        if found := control_character(self.title):
            raise DeclarationError(f"section {self.id}: {found} in the title; remove it")
        names = [figure.name for figure in self.figures]
        for name in names:
            if names.count(name) > 1:
                raise DeclarationError(f"section {self.id}: two figures are named {name!r}")
