"""Two pages beside the report: the source files that it quotes or draws from, and its model's card.

They let the report link to its code and model wherever it is served from, even from disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from markupsafe import Markup

from generators.records.kept import kept
from report.prose.excerpt import highlighted
from report.prose.markup import markdown

CODE, CARD = "code.html", "model-card.html"
_IMAGE = re.compile(r"!\[[^\]]*\]\(([\w.-]+)\)")


def code_address(path: str, line: int) -> str:
    """Returns the address of a source line on the code page."""
    return f"{CODE}#{_id(path)}-{line}"


def _id(path: str) -> str:
    return re.sub(r"[^\w-]", "_", path.removesuffix(".py").replace("/", "-"))


def listing(root: Path, paths: Iterable[str]) -> list[tuple[str, str, list[Markup]]]:
    """Returns (path, id, lines) for each source file; the template numbers the ids of the lines."""
    return [
        (path, _id(path), highlighted((root / path).read_text(encoding="utf-8")).split("\n"))
        for path in sorted(set(paths))
    ]


def model_card(root: Path, model: str) -> Path | None:
    """Returns the model's card, if it ships with one."""
    path = root / "generators" / "models" / model / "MODEL_CARD.md"
    return path if path.is_file() else None


def card_html(card: Path) -> Markup:
    """Returns a model card as HTML."""
    return Markup(_card_html(_text(card)))


@kept("markdown")
def _card_html(text: str) -> str:
    html = markdown("toc", "fenced_code").convert(text)
    html = html.replace("<table>", '<div class="scroll" role="group" aria-label="Table" tabindex="0"><table>')
    html = re.sub(r' style="text-align: \w+;"', "", html).replace("</table>", "</table></div>")
    return html.replace("<pre>", '<pre role="group" aria-label="Code" tabindex="0">')


def card_images(card: Path) -> list[Path]:
    """Returns the images that a model card shows from its folder."""
    return [card.parent / name for name in _IMAGE.findall(_text(card))]


def _text(card: Path) -> str:
    return re.sub(r"<!--.*?-->", "", card.read_text(encoding="utf-8"))
