"""The syntax of modules, in the units that `definitions` counts or leaves out, without what cannot alter a result:
comments, docstrings, annotations, texts for readers, and the wording of errors. Source is parsed, never run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

from ..records.errors import SectionError

DECLARED = ("Figure", "Section", "of_samples")  # what declares figures
READER_TEXTS = {"caption", "label", "alt", "row", "title"}  # arguments of a Figure or a Section that only readers see
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
TARGETS = (ast.Name, ast.Tuple, ast.List, ast.Starred, ast.expr_context)  # of an assignment that only binds names
Origin = tuple[str, ...]  # a module, and the attributes that lead from it to what a name stands for


class Module:
    """The top level of a module, from its file. Raises SectionError if that does not parse.

    bound: for each name, the units that define it and the origins that it is imported from. effects: the units that do
    more than bind names, such as calls.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path, self.source = name, path, path.read_bytes()
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.bound: dict[str, list[Unit | Origin]] = {}
        self.effects: list[Unit] = []
        for top in self.tree().body:
            for statement in top.orelse if _for_type_checkers(top) else [top]:
                unit = Unit(self, statement)
                if not _only_binds(statement):
                    self.effects.append(unit)
                for bound, target in self._bindings(unit):
                    self.bound.setdefault(bound, []).append(target)

    def tree(self) -> ast.Module:
        """Returns a new syntax tree of the whole module."""
        try:
            return ast.parse(self.source)
        except (SyntaxError, ValueError) as error:
            where = f"{self.path.name}:{getattr(error, 'lineno', None) or 1}"
            raise SectionError(f"{where}: does not parse: {getattr(error, 'msg', error)}") from None

    def _bindings(self, unit: Unit) -> Iterator[tuple[str, Unit | Origin]]:
        for node in _in_this_scope(unit.node):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    yield node.name, unit
                case ast.Name(ctx=ast.Store()):
                    yield node.id, unit
                case ast.Import() | ast.ImportFrom():
                    for name, origin in imported(node, self.package):
                        yield name, origin
                        if node is not unit.node:  # imported under a condition, which counts too
                            yield name, unit


class Unit:
    """What counts as a whole: a top-level statement, or a method of a top-level class, which is without it then.

    Special methods, `__init__` and the like, stay in the class. methods: the others, by name.
    """

    def __init__(self, module: Module, node: ast.stmt) -> None:
        self.module, self.node = module, node
        self.methods: list[tuple[str, Unit]] = []
        if isinstance(node, ast.ClassDef):
            methods = {part: part.name for part in node.body if isinstance(part, FUNCTIONS)}
            methods = {part: name for part, name in methods.items() if not (name[0] == name[-1] == "_")}
            node.body = [part for part in node.body if part not in methods]
            self.methods = sorted(((name, Unit(module, part)) for part, name in methods.items()), key=lambda m: m[0])

    @cached_property
    def essence(self) -> Essence:
        return Essence(self.node, self.module.package)


class Essence(ast.NodeTransformer):
    """What of a statement can alter a result, as text in `syntax`, and what that uses. Changes the node.

    names: `f`, or with attributes `module.f`. attributes: `name` of any `x.name`. imports: origins of names that are
    imported inside.
    """

    def __init__(self, node: ast.stmt, package: str) -> None:
        self.package = package
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.imports: dict[str, list[Origin]] = {}
        self.syntax = dump(self.visit(node))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load):
            self.names.add(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        name = dotted(node)
        self.attributes |= {node.attr, *name.split(".")[1:]}
        self.names |= {name} - {""}
        return node if name else self.generic_visit(node)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for name, origin in imported(node, self.package):
            self.imports.setdefault(name, []).append(origin)

    visit_ImportFrom = visit_Import

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return self.generic_visit(ast.Assign([node.target], node.value)) if node.value else None

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Keeps the fields' annotations, as text: they declare the fields of a dataclass."""
        for k, part in enumerate(node.body):
            if isinstance(part, ast.AnnAssign):
                field = [ast.Constant(dump(part.annotation)), part.target, *([part.value] if part.value else [])]
                node.body[k] = ast.Expr(ast.Tuple(field, ast.Load()))
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Raise()

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if _for_type_checkers(node) and not node.orelse else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = dotted(node.func).rpartition(".")[2]
        if name in DECLARED:
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in READER_TEXTS]
        if name == "Section":
            del node.args[1:2]  # its title
        return self.generic_visit(node)


def imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, Origin]]:
    """Yields the names that an import in a package binds, with their origins; "*" for all names of a module."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or name, (name,)
    else:
        parts = package.split(".")
        base = parts[: len(parts) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            yield alias.asname or alias.name, (module,) if alias.name == "*" else (module, alias.name)


def dotted(node: ast.AST) -> str:
    """Returns the text of a name, with its attributes if any, such as `f` or `module.f`; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return (before := dotted(node.value)) and f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def dump(node: Any) -> str:
    """Serialises a syntax tree identically on every Python version: omits empty fields, which newer versions add."""
    if isinstance(node, ast.JoinedStr):  # early releases of 3.12 add empty texts to formats
        node = ast.JoinedStr([part for part in node.values if getattr(part, "value", None) != ""])
    if isinstance(node, ast.AST):
        fields = (f"{name}={dump(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({', '.join(fields)})"
    return f"[{', '.join(map(dump, node))}]" if isinstance(node, list) else ascii(node)


def _in_this_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Yields a statement and its parts, without the insides of functions, classes and comprehensions."""
    yield node
    if not isinstance(node, SCOPES):
        for child in ast.iter_child_nodes(node):
            yield from _in_this_scope(child)


def _only_binds(node: ast.AST) -> bool:
    """Returns whether a statement does nothing but bind names, so that it matters only where these are used."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Import() | ast.ImportFrom() | ast.Pass():
            return True
        case ast.Expr():
            return isinstance(node.value, ast.Constant)
        case ast.Assign() | ast.AugAssign() | ast.AnnAssign():
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return all(isinstance(part, TARGETS) for target in targets for part in ast.walk(target))
        case ast.If() | ast.Try() | ast.TryStar() | ast.ExceptHandler():
            inner = (part for part in ast.iter_child_nodes(node) if isinstance(part, (ast.stmt, ast.ExceptHandler)))
            return all(map(_only_binds, inner))
    return False


def _for_type_checkers(node: ast.stmt) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and dotted(node.test).rpartition(".")[2] == "TYPE_CHECKING"
