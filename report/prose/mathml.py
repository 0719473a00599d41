"""Converts TeX to MathML at build time, also within short texts with TeX between dollar signs."""

from __future__ import annotations

import html
import re
from functools import cache

from markupsafe import Markup, escape
from math_core import LatexError, LatexToMathML

from generators.records.errors import TexError

# An opening dollar sign has no blank after it; a closing one has no blank before it and no digit after it, so that
# "from $5 to $6" stays prose. A backslash escapes a dollar sign.
INLINE = re.compile(r"(?<![\\$])\$(?![\s$])((?:[^$\\\n]|\\.|\n(?!\s*\n))+?)(?<!\s)\$(?![\d$])")

# math-core writes style attributes, which the Content-Security-Policy forbids: convert them to classes.
STYLES = {
    "text-align: right": "right",
    "text-align: left": "left",
    "padding-right: 0": "tight-right",
    "padding-left: 0": "tight-left",
    "width: 100%": "wide",
    "width: 50%": "half",
}

LONGEST = 2000  # letters; math-core recurses, and deeper nesting would crash the process


@cache
def mathml(tex: str, display: bool = False) -> Markup:
    """Converts one formula to MathML. Raises TexError on bad TeX."""
    if len(tex) > LONGEST:
        raise TexError(f"bad TeX in ${' '.join(tex[:40].split())}…$: longer than {LONGEST} letters; split the formula")
    try:
        found = _converter().convert_with_local_state(tex, displaystyle=display)
    except LatexError as error:
        message = re.sub(r"^\d+: ", "", str(error).strip().splitlines()[0])
        raise TexError(f"bad TeX in ${' '.join(tex.split())}$: {message}") from None
    found = re.sub(r'(<mtable[^>]*?) scriptlevel="[^"]*"', r"\1", found)  # invalid there, according to the Nu checker
    # A prime is already raised: as a superscript of an index it would be too small.
    found = re.sub(
        r"<msup>(<m[in]>[^<]*</m[in]>)<mo>(′+)</mo></msup>", r'<mrow>\1<mo lspace="0" rspace="0">\2</mo></mrow>', found
    )
    return Markup(re.sub(r'([^>]*?) style="([^"]*)"', _classes, found))


def displayed(tex: str) -> Markup:
    r"""Converts a displayed formula, with a part for each of the equations that \qquad separates. Raises TexError."""
    parts = list(filter(None, map(str.strip, tex.split(r"\qquad"))))
    pairs = ("{", "}"), (r"\begin", r"\end"), (r"\left", r"\right")
    if any(part.count(opened) != part.count(closed) for part in parts for opened, closed in pairs):
        parts = [tex.strip()]  # it stands within a group
    return Markup("").join(mathml(part, display=True) for part in parts)


def rich(text: str) -> Markup:
    """Escapes plain text and converts its $TeX$ to MathML. Raises TexError."""
    return Markup("").join(mathml(part) if is_tex else escape(part) for is_tex, part in split(text))


def plain(text: str) -> str:
    """Returns the text without markup, for alt texts: a formula becomes its symbols, as in "t = 250".

    Raises TexError.
    """
    return "".join(_symbols(part) if is_tex else part for is_tex, part in split(text))


def split(text: str) -> list[tuple[bool, str]]:
    """Returns the parts of a text, each with whether it is TeX; dollar signs around TeX and escapes are removed."""
    parts = enumerate(INLINE.split(text))
    return [(index % 2 == 1, part if index % 2 else part.replace("\\$", "$")) for index, part in parts]


def _symbols(tex: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", mathml(tex))).split())


@cache
def _converter() -> LatexToMathML:
    return LatexToMathML(fancy_error=False)


def _classes(match: re.Match[str]) -> str:
    names = [STYLES[rule] for rule in re.split(r";\s*", match[2]) if rule in STYLES]
    return f'{match[1]} class="{" ".join(names)}"' if names else match[1]
