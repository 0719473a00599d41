"""What a section's panels depend on, as digests, and whether they still hold. Imports no torch: a no-op is fast.

A section depends on the source that it reaches by import (its own module, the lab, the model's module), on the model's
weights, and on the input images that it used. Comments, docstrings, titles, captions, labels, alt texts and the places
of files do not count: to change a word or to move a module never samples again.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import grimp
from grimp.exceptions import SourceSyntaxError

from .. import inputs, models
from ..figures import section_key

PACKAGE = __package__.partition(".")[0]
HOME = Path(__file__).parents[1]
SECTIONS = HOME / "sections"
SECTIONS_PACKAGE = f"{PACKAGE}.sections"
WORDS = {"caption", "label", "alt", "row"}  # arguments of a Figure that are text for readers


class SectionError(ValueError):
    """A section is asked for that does not exist, or its module is not one. One line."""


def sections() -> dict[str, Path]:
    """The modules of all sections by id, in page order: part_1_7_1.py is 1.7.1, and 1.10 comes after 1.9."""
    found = {path.stem.removeprefix("part_").replace("_", "."): path for path in SECTIONS.glob("part_*.py")}
    for section_id, path in found.items():
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", section_id):
            raise SectionError(f"{path.name}: a section's module is named after its number, such as part_1_10.py")
    return {section_id: found[section_id] for section_id in sorted(found, key=section_key)}


def module_of(section_id: str) -> str:
    """The full name of a section's module."""
    return f"{SECTIONS_PACKAGE}.{sections()[section_id].stem}"


def source_digest(section_id: str, model: str) -> str:
    """sha256 over the syntax of all modules that the section reaches, without words for readers and without paths."""
    names = [module_of(section_id), f"{PACKAGE}.lab", models.module_of(model)]
    reached = {module for name in names for module in (name, *_graph().find_upstream_modules(name))}
    return _sha256("\n".join(sorted(map(_syntax, reached))))


def words_digest(section_id: str) -> str:
    """sha256 over the whole syntax of the section's own module, words included."""
    return _sha256(_dump(_tree(module_of(section_id))))


def why_stale(folder: Path, section_id: str, model: str) -> str | None:
    """Why the section in this folder must be drawn again, in a few words; None when it holds."""
    record = read_record(folder)
    if record is None:
        return "not drawn yet"
    try:
        if "seal" not in record:
            return "its record has no seal: it is of an older version, or was changed by hand"
        if record["seal"] != seal(record):
            return "its record was changed by hand; it has to be drawn again"
        if why := why_outdated(record, section_id, model):
            return why
        for panel in (panel for figure in record["figures"] for panel in figure["panels"]):
            path = folder / panel["file"]
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != panel["bytes"]:
                return f"{panel['file']} is missing or damaged"
    except (KeyError, TypeError, AttributeError):
        return "its record is damaged"
    return None


def why_outdated(record: dict[str, Any], section_id: str, model: str) -> str | None:
    """Which of the things that the record was drawn from has changed since, in a few words; None when none has."""
    depends = record["depends"]
    if depends["weights"] != weights_digest(model):
        return "the model's weights changed"
    if depends["source"] != source_digest(section_id, model):
        return "its source changed"
    for name, digest in depends["inputs"].items():
        if inputs.digest(name) != digest:
            return f"the input image {name} changed"
    return None


def seal(record: dict[str, Any]) -> str:
    """The seal of a record: the SHA-256 of its other fields as sorted JSON. It shows whether a record was edited.

    The same as `report.records.record.seal`. Raises ValueError for NaN and infinity.
    """
    content = {name: value for name, value in record.items() if name != "seal"}
    return _sha256(json.dumps(content, sort_keys=True, allow_nan=False))


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a drawn section, or None where there is none that can be read."""
    return read_json(folder / "record.json")


def read_json(path: Path) -> dict[str, Any] | None:
    """A record from its file, or None where it cannot be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(record, allow_nan=False)  # raises ValueError: NaN and infinity are no JSON
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and record.get("format") == 1 else None


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
    """The digest of a module; of its imports, what they bring counts and not where that lies."""
    return _sha256(_dump(_WithImports(module).visit(copy.deepcopy(_tree(module)))))


@cache
def _body(module: str) -> str:
    """The digest of a module without its imports: what stands for it where another module imports from it."""
    return _sha256(_dump(_WithoutWords().visit(copy.deepcopy(_tree(module)))))


class _WithoutWords(ast.NodeTransformer):
    """Takes docstrings, the texts of figures and sections, and imports out of a syntax tree."""

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "Figure":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in WORDS]
        if name == "Section":
            node.args = [arg for k, arg in enumerate(node.args) if k != 1]
        return self.generic_visit(node)


class _WithImports(_WithoutWords):
    """The same, but an import becomes a text: the names that it binds, and the digest of the module they come from."""

    def __init__(self, module: str) -> None:
        parts = module.split(".")
        self.package = parts if _file(module).name == "__init__.py" else parts[:-1]

    def visit_Import(self, node: ast.Import) -> ast.AST:
        return ast.Constant(
            ", ".join(f"{_brought(alias.name)} as {alias.asname or alias.name}" for alias in node.names)
        )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        base = self.package[: len(self.package) - node.level + 1] if node.level else []
        origin = ".".join([*base, *([node.module] if node.module else [])])
        brought = []
        for alias in node.names:
            inner = f"{origin}.{alias.name}"
            what = _brought(inner) if inner in _graph().modules else f"{_brought(origin)} {alias.name}"
            brought.append(f"{what} as {alias.asname or alias.name}")
        return ast.Constant(", ".join(sorted(brought)))


def _brought(module: str) -> str:
    """A module of this package by its digest, any other by its name."""
    return _body(module) if module in _graph().modules else module


def _dump(node: Any) -> str:
    """A syntax tree as text, the same for every Python: newer ones add fields, which are empty for older programs."""
    if isinstance(node, ast.AST):
        fields = (f"{name}={_dump(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({', '.join(fields)})"
    return f"[{', '.join(map(_dump, node))}]" if isinstance(node, list) else repr(node)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
