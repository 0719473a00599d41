"""Code excerpts, read from the sources by name when the page is built, so that they stay current."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from markupsafe import Markup

from generators.records.kept import kept


@dataclass(frozen=True)
class Excerpt:
    """A definition as written in its file; lines count from 1."""

    path: str
    name: str
    first: int
    last: int
    code: str


def excerpt(root: Path, target: str) -> Excerpt:
    """Returns the function, class, method or assignment that `path.py::Name.inner` names. Raises LookupError."""
    where, colons, name = (part.strip() for part in target.partition("::"))
    if not colons or not name:
        raise LookupError(f"unknown code target {target!r}; write path/to/file.py::name")
    file = (root / where).resolve()
    if file.suffix != ".py" or not file.is_relative_to(root.resolve()) or not file.is_file():
        raise LookupError(f"unknown code target {target!r}: there is no file {where}")
    try:
        source = file.read_text(encoding="utf-8")
        node: ast.AST = _parsed(source)
    except (SyntaxError, ValueError) as error:  # ValueError: not UTF-8, or a null character
        raise LookupError(f"code target {target!r}: {where} does not parse ({error})") from None
    for part in name.split("."):
        found = [child for child in getattr(node, "body", []) if part in _names(child)]
        if not found:
            raise LookupError(f"unknown code target {target!r}: {where} defines no {name}")
        node = found[-1]
    assert isinstance(node, ast.stmt)
    assert node.end_lineno
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    lines = source.splitlines()[first - 1 : node.end_lineno]
    return Excerpt(where, name, first, node.end_lineno, textwrap.dedent("\n".join(lines)))


def declared(root: Path, path: str, name: str) -> tuple[int, int] | None:
    """Returns the lines where a section's source declares the figure of this name: the first call with it as first
    argument."""
    try:
        tree = _parsed((root / path).read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return None  # drawing the section reports it
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and first.value == name and node.end_lineno:
                return node.lineno, node.end_lineno
    return None


@lru_cache(maxsize=64)  # most files are quoted several times on a page
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


def highlighted(code: str, language: str = "python") -> Markup:
    """Returns escaped code with Pygments' class names, where they have a colour. An unknown language stays plain."""
    return Markup(_highlighted(code, language))


@kept("pygments")
def _highlighted(code: str, language: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import TextLexer, get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False) if language else TextLexer()
    except ClassNotFound:
        lexer = TextLexer()
    found = highlight(code, lexer, HtmlFormatter(nowrap=True)).rstrip("\n")
    # Uncoloured code without markup saves a third of the page's bytes.
    return re.sub(r'<span class="(?:n|o|p|w|err)">([^<]*)</span>', r"\1", found)


def _names(node: ast.AST) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
