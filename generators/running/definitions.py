"""Digests of source code by what it uses: the constants, functions, classes and methods that it reaches.

A definition reaches those whose names it uses. A name is looked up as Python does it, through imports and re-exports.
The search ends at other packages, at errors, at given values, such as the settings, which count themselves, and at the
declarations of `figures`, whose checks and texts alter no pixels. A method counts once its name is an attribute,
`x.name`, anywhere in what is reached, because Python finds methods by name alone. A local variable counts as the
definition whose name it has, and an import inside a function as one of its module.

Comments, docstrings, annotations, texts for readers and the wording of errors do not count. Source is parsed, never
run; so what only running it would show is not seen: names that are computed, the classes of arguments, and modules that
are imported only for their effects.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

from ..records.errors import SectionError

DECLARATIONS = {"figures.Figure", "figures.Panel", "figures.Section"}
DECLARED = ("Figure", "Section", "of_samples")  # what declares figures
READER_TEXTS = {"caption", "label", "alt", "row", "title", "called"}  # arguments of figures and sections for readers
PLACES = {"files"}  # attributes of given values that say where something is; its contents count elsewhere
PLAIN_BASES = {  # classes of other packages that call no method of a derived class, except `__special__` ones
    *("builtins.object", "abc.ABC", "abc.ABCMeta", "enum.Enum", "enum.IntEnum", "enum.StrEnum"),
    *("typing.Generic", "typing.NamedTuple", "typing.Protocol"),
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BINDING = (  # statements that bind names, if their targets are TARGETS, and those that hold others
    *(*FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AugAssign, ast.AnnAssign),
    *(ast.Pass, ast.If, ast.Try, ast.TryStar),
)
TARGETS = (ast.Name, ast.Tuple, ast.List, ast.Starred)
Origin = tuple[str, ...]  # a module, and the attributes that lead from it to what a name stands for


class Definitions:
    """The definitions of the package in a folder. Each module is read once, when it is first reached.

    given: objects by their full names, such as "generators.settings.MINE". Of these, the attribute counts that is used.
    """

    def __init__(self, folder: Path, given: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.given = given or {}
        self._modules: dict[str, Module | None] = {}

    def digest(self, roots: Iterable[str]) -> str:
        """Returns the sha256 over all definitions that roots such as "generators.lab:Lab" reach.

        They are listed in the order of first use, each with its syntax and the places in the list of what it uses: an
        exchange of two is noticed, a move is not. Raises SectionError for a module that does not parse.
        """
        begin = [unit for root in roots for unit in self.find(tuple(root.split(":"))) if isinstance(unit, Unit)]
        reached = self.reached(begin)
        effects = {effect for unit in reached for effect in unit.module.effects}
        listed = list(
            dict.fromkeys([*begin, *sorted(effects, key=lambda unit: (unit.essence.syntax, unit.module.name))])
        )
        places, lines = {unit: place for place, unit in enumerate(listed)}, []
        for unit in listed:  # grows
            lines.append(unit.essence.syntax)
            for name, target in (*unit.uses, *unit.methods):
                if isinstance(target, str):
                    lines.append(f"{name} {target}")
                elif target in reached:  # not a method that nothing calls
                    if target not in places:
                        places[target] = len(listed)
                        listed.append(target)
                    lines.append(f"{name} {places[target]}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def source_digest(self, root: str) -> str:
        """Returns the sha256 over the whole source of the modules whose definitions a root reaches, texts included."""
        begin = [unit for unit in self.find(tuple(root.split(":"))) if isinstance(unit, Unit)]
        modules = sorted({unit.module.source_digest for unit in self.reached(begin)})
        return hashlib.sha256("\n".join(modules).encode()).hexdigest()

    def reached(self, roots: Iterable[Unit]) -> set[Unit]:
        """Returns all that the roots reach, themselves included."""
        reached: set[Unit] = set()
        attributes: set[str] = set()
        methods: list[tuple[str, Unit]] = []
        todo = [*roots]
        while todo:
            unit = todo.pop()
            if unit not in reached:
                reached.add(unit)
                attributes |= unit.essence.attributes
                methods += unit.methods
                todo += [target for _, target in unit.uses if isinstance(target, Unit)]
                todo += unit.module.effects
                if unit.methods and not unit.outside_bases() <= PLAIN_BASES:  # another package may call them
                    todo += [method for _, method in unit.methods]
            if not todo:
                todo = [method for name, method in methods if name in attributes and method not in reached]
        return reached

    def module(self, name: str) -> Module | None:
        """Returns a module of the package; None if it has none of that name. Raises SectionError if it does not
        parse."""
        if name not in self._modules:
            package, *path = name.split(".")
            place = self.folder.joinpath(*path)
            files = [place / "__init__.py", place.with_suffix(".py")] if package == self.folder.name else []
            self._modules[name] = next((Module(self, name, file) for file in files if file.is_file()), None)
        return self._modules[name]

    def find(self, origin: Origin, seen: set[Origin] | None = None) -> Iterator[Unit | str]:
        """Yields the units that an origin leads to: of a module without an attribute all, of another package its full
        name, and of what is given its value. Skips what has been seen, because modules may import each other."""
        seen = set() if seen is None else seen
        name, *rest = origin
        module = self.module(name)
        if (full := ".".join(origin[:2])) in self.given:
            yield _value(self.given[full], rest[1:])
        elif module is None:
            yield ".".join(origin)
        elif rest and rest[0] in module.bound and (name, rest[0]) not in seen:
            seen.add((name, rest[0]))
            for bound in module.bound[rest[0]]:
                yield from [bound] if isinstance(bound, Unit) else self.find((*bound, *rest[1:]), seen)
        elif rest and self.module(f"{name}.{rest[0]}"):
            yield from self.find((f"{name}.{rest[0]}", *rest[1:]), seen)
        elif (name,) not in seen:
            seen.add((name,))
            for bound_name in sorted(module.bound):
                yield from self.find((name, bound_name), seen)


class Module:
    """The top level of a module, from its file. Raises SectionError if that does not parse.

    bound: for each name, the units that define it and the origins that it is imported from.
    """

    def __init__(self, home: Definitions, name: str, path: Path) -> None:
        self.home, self.name = home, name
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.bound: dict[str, list[Unit | Origin]] = {}
        source = path.read_bytes()
        self.source_digest = hashlib.sha256(source).hexdigest()
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError) as error:
            where = f"{path.name}:{getattr(error, 'lineno', None) or 1}"
            raise SectionError(f"{where}: does not parse: {getattr(error, 'msg', error)}") from None
        parts = (part for top in tree.body for part in (top.orelse if _for_type_checkers(top) else [top]))
        self._units = [self._bind(part) for part in parts]

    def _bind(self, statement: ast.stmt) -> Unit:
        bound: list[tuple[str, Unit | Origin]] = []
        for node in ast.walk(statement):
            bound += self._imported(node)
        unit = Unit(self, statement)
        for node in _in_this_scope(statement):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    bound.append((node.name, unit))
                case ast.Name(ctx=ast.Store()):
                    bound.append((node.id, unit))
                case ast.Import() | ast.ImportFrom() if node is not statement:  # under a condition, which counts too
                    bound += [(name, unit) for name, _ in self._imported(node)]
        for name, target in bound:
            self.bound.setdefault(name, []).append(target)
        return unit

    def _imported(self, node: ast.AST) -> Iterator[tuple[str, Origin]]:
        """Yields the names that an import binds, with their origins; "*" for all names of a module."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or name, (name,)
        elif isinstance(node, ast.ImportFrom):
            parts = self.package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield alias.asname or alias.name, (module,) if alias.name == "*" else (module, alias.name)

    @cached_property
    def effects(self) -> list[Unit]:
        """What Python does to import the module, besides definitions, which starts with its package: statements such as
        calls, and definitions that a decorator of this package may register."""
        package = self.home.module(self.name.rpartition(".")[0])
        own = [unit for unit in self._units if _has_effects(unit.node) or unit.is_registered()]
        return [*(package.effects if package else []), *own]


class Unit:
    """What counts as a whole: a top-level statement, or a method of a top-level class, which is without it then.

    Special methods, `__init__` and the like, stay in the class. methods: the others, by name.
    """

    def __init__(self, module: Module, node: ast.stmt) -> None:
        self.module, self.node = module, node
        self.methods: list[tuple[str, Unit]] = []
        if isinstance(node, ast.ClassDef):
            functions = [part for part in node.body if isinstance(part, FUNCTIONS)]
            methods = [part for part in functions if not part.name[0] == part.name[-1] == "_"]
            node.body = [part for part in node.body if part not in methods]
            self.methods = [(part.name, Unit(module, part)) for part in sorted(methods, key=lambda part: part.name)]

    @cached_property
    def essence(self) -> Essence:
        return Essence(self.node)

    @cached_property
    def uses(self) -> list[tuple[str, Unit | str]]:
        """The names that it uses, sorted, each with what it stands for: a unit, or a name that ends the search, such as
        that of an error or a declaration."""
        names = sorted(self.essence.names | (self.module.bound.keys() & {"*"}))
        return [
            (name, target if isinstance(target, str) else target.ending or target)
            for name in names
            for target in self._resolve(name)
        ]

    def is_registered(self) -> bool:
        decorators: list[ast.expr] = getattr(self.node, "decorator_list", [])
        names = (dotted(each.func if isinstance(each, ast.Call) else each) for each in decorators)
        return any(isinstance(target, Unit) for name in names for target in self._resolve(name))

    @cached_property
    def ending(self) -> str:
        """The name of an error or a declaration, at which the search ends; "" of anything else."""
        if not isinstance(self.node, ast.ClassDef):
            return ""
        declares = f"{self.module.name}.{self.node.name}".partition(".")[2] in DECLARATIONS
        return self.node.name if declares or "builtins.Exception" in self.outside_bases() else ""

    def outside_bases(self) -> set[str]:
        """Returns the classes of other packages that a class derives from, at any depth, and its metaclass.

        Every builtin error counts as builtins.Exception; "unknown" is a class that no class statement made.
        """
        if not isinstance(self.node, ast.ClassDef):
            return {"unknown"}
        bases: set[str] = set()
        for base in (*self.node.bases, *(keyword.value for keyword in self.node.keywords)):
            name = dotted(base.value if isinstance(base, ast.Subscript) else base)
            for target in self._resolve(name) or [_builtin(name)]:
                if isinstance(target, str):
                    bases.add(target)
                elif target is not self:
                    bases |= target.outside_bases()
        return bases

    def _resolve(self, name: str) -> list[Unit | str]:
        """Returns what a name, with its attributes, stands for; nothing if it is local or builtin."""
        origin = (self.module.name, *name.split("."))
        return list(dict.fromkeys(self.module.home.find(origin))) if origin[1] in self.module.bound else []


class Essence:
    """What of a syntax tree can alter a result, as text in `syntax`, and what that uses.

    names: `f`, or with attributes `module.f`. attributes: `name` of any `x.name`.
    """

    def __init__(self, node: ast.AST) -> None:
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.syntax = self._text(node)

    def _text(self, node: Any) -> str:
        """Serialises a node identically on every Python version; "" for what cannot alter a result."""
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()) | ast.AnnAssign(value=None):
                return ""
            case ast.If(orelse=[]) if _for_type_checkers(node):
                return ""
            case ast.Raise():
                return "Raise()"
            case ast.Name(ctx=ast.Store() | ast.Del()):
                return node.id
            case ast.Name() | ast.Attribute() if name := dotted(node):
                self.names.add(name)
                self.attributes |= {*name.split(".")[1:]}
                return name
            case ast.Attribute():
                self.attributes.add(node.attr)
            case ast.AnnAssign():
                node = ast.Assign([node.target], node.value)  # type: ignore[arg-type]
            case ast.Call() if (name := dotted(node.func).rpartition(".")[2]) in DECLARED:
                keywords = [keyword for keyword in node.keywords if keyword.arg not in READER_TEXTS]
                node = ast.Call(node.func, [*node.args[:1], *node.args[1 + (name == "Section") :]], keywords)
            case ast.JoinedStr():  # early releases of 3.12 add empty texts to formats
                node = ast.JoinedStr([part for part in node.values if getattr(part, "value", None) != ""])
            case list():
                texts = [text for text in map(self._text, node) if text]
                return f"[{', '.join(texts)}]" if texts else ""
        if not isinstance(node, ast.AST):
            return ascii(node)
        fields = [(name, value) for name, value in ast.iter_fields(node) if name not in ("annotation", "returns")]
        texts = [f"{name}={text}" for name, value in fields if value is not None and (text := self._text(value))]
        if isinstance(node, ast.ClassDef):  # here annotations count, because they declare the fields of a dataclass
            declared = [part for part in node.body if isinstance(part, ast.AnnAssign)]
            texts += [ast.unparse(ast.AnnAssign(part.target, part.annotation, simple=1)) for part in declared]
        return f"{type(node).__name__}({', '.join(texts)})"


def _value(value: Any, attributes: Iterable[str]) -> str:
    """Returns the value of a given object's attribute, as text; "" for the place of something."""
    for name in attributes:
        if name in PLACES:
            return ""
        value = getattr(value, name)
    return repr(value)


def dotted(node: ast.AST) -> str:
    """Returns the text of a name, with its attributes if any, such as `f` or `module.f`; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return (before := dotted(node.value)) and f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _in_this_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Yields a statement and its parts, without the insides of functions, classes and comprehensions."""
    yield node
    if not isinstance(node, SCOPES):
        for child in ast.iter_child_nodes(node):
            yield from _in_this_scope(child)


def _has_effects(statement: ast.stmt) -> bool:
    """Returns whether a statement does more than bind names, so that it matters even where these are not used."""
    for node in _in_this_scope(statement):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        sets_other = isinstance(getattr(node, "ctx", None), ast.Store) and not isinstance(node, TARGETS)
        if sets_other or (isinstance(node, ast.stmt) and not isinstance(node, BINDING) and not is_text):
            return True
    return False


def _for_type_checkers(node: ast.stmt) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and dotted(node.test).rpartition(".")[2] == "TYPE_CHECKING"


def _builtin(name: str) -> str:
    kind = getattr(builtins, name, None)
    return "builtins.Exception" if isinstance(kind, type) and issubclass(kind, BaseException) else f"builtins.{name}"
