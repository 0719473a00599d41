"""Digests of the dependencies of a section's panels, and the check for staleness. Does not import torch, so that a run
with nothing to draw is fast.

A section depends on the source that it reaches by import (its own module, the lab, the model's module), on the model's
weights, and on its input images. Comments, docstrings, titles, captions, labels, alt texts and file locations do not
count: rewording or moving files makes nothing stale.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import grimp
from grimp.exceptions import SourceSyntaxError

from .. import inputs, models
from ..records.errors import SectionError
from ..records.record import read_drawn, wrong_seal
from ..records.texts import section_key

PACKAGE = __package__.partition(".")[0]
HOME = Path(__file__).parents[1]
SECTIONS = HOME / "sections"
SECTIONS_PACKAGE = f"{PACKAGE}.sections"
READER_TEXTS = {"caption", "label", "alt", "row"}  # arguments of a Figure that only readers see


def sections() -> dict[str, Path]:
    """Returns the modules of all sections by id, in page order: part_1_7_1.py is 1.7.1, and 1.10 follows 1.9."""
    found = {path.stem.removeprefix("part_").replace("_", "."): path for path in SECTIONS.glob("part_*.py")}
    for section_id, path in found.items():
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", section_id):
            raise SectionError(f"{path.name}: a section's module is named after its number, such as part_1_10.py")
    return {section_id: found[section_id] for section_id in sorted(found, key=section_key)}


def module_of(section_id: str) -> str:
    """Returns the full name of a section's module."""
    return f"{SECTIONS_PACKAGE}.{sections()[section_id].stem}"


def source_digest(section_id: str, model: str) -> str:
    """Returns the sha256 over the syntax of all modules that the section reaches, without texts for readers."""
    names = [
        module_of(section_id),
        f"{PACKAGE}.lab",
        *{root.partition(":")[0] for root in models.provider(model).definitions},
    ]
    reached = {module for name in names for module in (name, *_graph().find_upstream_modules(name))}
    return _sha256("\n".join(sorted(map(_syntax, reached))))


def words_digest(section_id: str) -> str:
    """Returns the sha256 over the complete syntax of the section's own module, texts included."""
    return _sha256(_dump(_tree(module_of(section_id))))


def why_stale(folder: Path, section_id: str, model: str) -> str | None:
    """Returns why the section in this folder must be redrawn, in a few words; None if it is up to date."""
    record = read_drawn(folder)
    if record is None:
        return "not drawn yet"
    try:
        if wrong := wrong_seal(record):
            return f"its record {wrong}"
        if why := changed_dependency(record, section_id, model):
            return why
        for panel in (panel for figure in record["figures"] for panel in figure["panels"]):
            path = folder / panel["file"]
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != panel["bytes"]:
                return f"{panel['file']} is missing or damaged"
    except (KeyError, TypeError, AttributeError):
        return "its record is damaged"
    return None


def changed_dependency(record: dict[str, Any], section_id: str, model: str) -> str | None:
    """Returns which dependency of the record has changed, in a few words; None if none has."""
    depends = record["depends"]
    if depends["weights"] != weights_digest(model):
        return "the model's weights changed"
    if depends["source"] != source_digest(section_id, model):
        return "its source changed"
    for name, digest in depends["inputs"].items():
        if inputs.digest(name) != digest:
            return f"the input image {name} changed"
    return None


@cache
def weights_digest(model: str) -> str:
    return models.digest(model)


@cache
def _graph() -> grimp.ImportGraph:
    try:
        return grimp.build_graph(PACKAGE, cache_dir=str(HOME.parent / ".cache" / "grimp"))
    except SourceSyntaxError as error:
        where = Path(error.filename).name
        raise SectionError(f"{where}:{error.lineno}: does not parse: {(error.text or '').strip()}") from None


def _file(module: str) -> Path:
    path = HOME.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _tree(module: str) -> ast.Module:
    path = _file(module)
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise SectionError(f"{path.name}:{line}: does not parse: {getattr(error, 'msg', error)}") from None


@cache
def _syntax(module: str) -> str:
    """Digests a module. An import counts by the content of the imported module, not by its location."""
    return _sha256(_dump(_WithImports(module).visit(copy.deepcopy(_tree(module)))))


@cache
def _body(module: str) -> str:
    """Digests a module without its imports; represents it in modules that import from it."""
    return _sha256(_dump(_WithoutWords().visit(copy.deepcopy(_tree(module)))))


class _WithoutWords(ast.NodeTransformer):
    """Removes docstrings, the texts of figures and sections, and imports from a syntax tree."""

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "Figure":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in READER_TEXTS]
        if name == "Section":
            node.args = [arg for k, arg in enumerate(node.args) if k != 1]
        return self.generic_visit(node)


class _WithImports(_WithoutWords):
    """Like the base class, but replaces an import by the names that it binds and the digest of their module."""

    def __init__(self, module: str) -> None:
        parts = module.split(".")
        self.package = parts if _file(module).name == "__init__.py" else parts[:-1]

    def visit_Import(self, node: ast.Import) -> ast.AST:
        return ast.Constant(
            ", ".join(f"{_import_digest(alias.name)} as {alias.asname or alias.name}" for alias in node.names)
        )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        base = self.package[: len(self.package) - node.level + 1] if node.level else []
        origin = ".".join([*base, *([node.module] if node.module else [])])
        brought = []
        for alias in node.names:
            inner = f"{origin}.{alias.name}"
            what = _import_digest(inner) if inner in _graph().modules else f"{_import_digest(origin)} {alias.name}"
            brought.append(f"{what} as {alias.asname or alias.name}")
        return ast.Constant(", ".join(sorted(brought)))


def _import_digest(module: str) -> str:
    """Returns the digest of a module of this package, or the name of any other module."""
    return _body(module) if module in _graph().modules else module


def _dump(node: Any) -> str:
    """Serialises a syntax tree identically on every Python version: omits empty fields, which newer versions add."""
    if isinstance(node, ast.AST):
        fields = (f"{name}={_dump(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({', '.join(fields)})"
    return f"[{', '.join(map(_dump, node))}]" if isinstance(node, list) else repr(node)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
