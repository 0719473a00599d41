"""TeX to MathML at build time, and the small bits of text that may hold TeX between dollar signs."""

from __future__ import annotations

import html
import re
from functools import cache

from markupsafe import Markup, escape
from math_core import LatexError, LatexToMathML

# A dollar sign that opens a formula has no blank after it; one that closes has none before it and no digit after it,
# so that "from $5 to $6" stays prose. A backslash before a dollar sign makes it a plain one.
INLINE = re.compile(r"(?<![\\$])\$(?![\s$])((?:[^$\\\n]|\\.|\n(?!\s*\n))+?)(?<!\s)\$(?![\d$])")

# math-core writes style attributes, which the page's Content-Security-Policy forbids: they become classes.
STYLES = {
    "text-align: right": "right",
    "text-align: left": "left",
    "padding-right: 0": "tight-right",
    "padding-left: 0": "tight-left",
    "width: 100%": "wide",
    "width: 50%": "half",
}

LONGEST = 2000  # letters; math-core recurses, and deeper nesting than so many letters allow would end the process


class TexError(ValueError):
    """The TeX is wrong; the message says how."""


@cache
def mathml(tex: str, display: bool = False) -> Markup:
    """One formula as MathML. Raises TexError on bad TeX."""
    if len(tex) > LONGEST:
        raise TexError(f"bad TeX in ${' '.join(tex[:40].split())}…$: longer than {LONGEST} letters; split the formula")
    try:
        found = _converter().convert_with_local_state(tex, displaystyle=display)
    except LatexError as error:
        message = re.sub(r"^\d+: ", "", str(error).strip().splitlines()[0])
        raise TexError(f"bad TeX in ${' '.join(tex.split())}$: {message}") from None
    found = re.sub(r'(<mtable[^>]*?) scriptlevel="[^"]*"', r"\1", found)  # not valid there, says the Nu checker
    # A prime is raised already: as the superscript of an index it would shrink to a speck.
    found = re.sub(
        r"<msup>(<m[in]>[^<]*</m[in]>)<mo>(′+)</mo></msup>", r'<mrow>\1<mo lspace="0" rspace="0">\2</mo></mrow>', found
    )
    return Markup(re.sub(r'([^>]*?) style="([^"]*)"', _classes, found))


def rich(text: str) -> Markup:
    """Plain text, escaped, with its $TeX$ as MathML. Raises TexError."""
    parts = INLINE.split(text)
    return Markup("").join(
        mathml(part) if odd else escape(part.replace("\\$", "$"))
        for odd, part in ((index % 2, part) for index, part in enumerate(parts))
    )


def rich_or_plain(text: str) -> Markup:
    """The same, where bad TeX is reported elsewhere: then the text stays as it was written."""
    try:
        return rich(text)
    except TexError:
        return Markup("{}").format(text)


def plain(text: str) -> str:
    """The same text where no markup can stand, such as an alt text: a formula becomes its symbols, as in "t = 250".

    Raises TexError.
    """
    return INLINE.sub(lambda match: _symbols(match[1]), text).replace("\\$", "$")


def _symbols(tex: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", mathml(tex))).split())


@cache
def _converter() -> LatexToMathML:
    return LatexToMathML(fancy_error=False)


def _classes(match: re.Match[str]) -> str:
    names = [STYLES[rule] for rule in re.split(r";\s*", match[2]) if rule in STYLES]
    return f'{match[1]} class="{" ".join(names)}"' if names else match[1]
