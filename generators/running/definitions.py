"""Digests of source code by what it uses: the constants, functions, classes and methods that it reaches.

A definition reaches those whose names it uses. A name is looked up as Python does it, through imports and re-exports.
The search ends at other packages, at errors, and at the declarations of `figures`, whose checks and texts alter no
pixels. A method counts once its name is an attribute, `x.name`, anywhere in what is reached, because Python finds
methods by name alone. A local variable counts as the definition whose name it has.

What only running the code would show is not seen: names that are computed, the classes of arguments, and modules that
are imported only for their effects.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from .syntax import Module, Origin, Unit, dotted, dump

DECLARATIONS = {"figures.Figure", "figures.Panel", "figures.Section"}
PLAIN_BASES = {  # classes of other packages that call no method of a derived class, except `__special__` ones
    *("builtins.object", "abc.ABC", "abc.ABCMeta", "enum.Enum", "enum.IntEnum", "enum.StrEnum"),
    *("typing.Generic", "typing.NamedTuple", "typing.Protocol"),
}


def digest(roots: Iterable[str]) -> str:
    """Returns the digest of this package's definitions; see `Definitions.digest`."""
    return _ours().digest(roots)


def syntax_digest(module: str) -> str:
    """Returns the sha256 over the complete syntax of a module of this package, texts for readers included. Raises
    SectionError if it does not parse."""
    found = _ours().module(module)
    assert found
    return _sha256(dump(found.tree()))


@cache
def _ours() -> Definitions:
    return Definitions(Path(__file__).parents[1])


class Definitions:
    """The definitions of the package in a folder. Each module is read once, when it is first reached."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._modules: dict[str, Module | None] = {}
        self._effects_of: dict[Module, list[Unit]] = {}
        self._used: dict[Unit, list[tuple[str, Unit | str]]] = {}

    def digest(self, roots: Iterable[str]) -> str:
        """Returns the sha256 over all definitions that roots such as "generators.lab:Lab" reach.

        They are listed in the order of first use, each with its syntax and the places in the list of what it uses: an
        exchange of two is noticed, a move is not. Raises SectionError for a module that does not parse.
        """
        begin = [unit for root in roots for unit in self._find(tuple(root.split(":")), set()) if isinstance(unit, Unit)]
        reached = self._reached(begin)
        effects = [unit for unit in reached if unit in self._effects(unit.module)]
        effects.sort(key=lambda unit: (unit.essence.syntax, unit.module.name))
        listed = list(dict.fromkeys([*begin, *effects]))
        places, lines = {unit: place for place, unit in enumerate(listed)}, []
        for unit in listed:  # grows
            lines.append(unit.essence.syntax)
            for name, target in (*self._uses(unit), *unit.methods):
                if isinstance(target, str):
                    lines.append(f"{name} {target}")
                elif target in reached:  # not a method that nothing calls
                    if target not in places:
                        places[target] = len(listed)
                        listed.append(target)
                    lines.append(f"{name} {places[target]}")
        return _sha256("\n".join(lines))

    def module(self, name: str) -> Module | None:
        """Returns a module of the package; None if it has none of that name. Raises SectionError if it does not
        parse."""
        if name not in self._modules:
            package, *path = name.split(".")
            place = self.folder.joinpath(*path)
            files = [place / "__init__.py", place.with_suffix(".py")] if package == self.folder.name else []
            self._modules[name] = next((Module(name, file) for file in files if file.is_file()), None)
        return self._modules[name]

    def _reached(self, roots: Iterable[Unit]) -> set[Unit]:
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
                todo += [target for _, target in self._uses(unit) if isinstance(target, Unit)]
                todo += self._effects(unit.module)
                if unit.methods and not self._outside_bases(unit) <= PLAIN_BASES:  # another package may call them
                    todo += [method for _, method in unit.methods]
                methods += unit.methods
            if not todo:
                todo = [method for name, method in methods if name in attributes and method not in reached]
        return reached

    def _effects(self, module: Module) -> list[Unit]:
        """Returns what Python does to import a module, besides definitions, which starts with its package: statements
        such as calls, and definitions that a decorator of this package may register."""
        if module not in self._effects_of:
            package = self.module(module.name.rpartition(".")[0])
            bound = dict.fromkeys(target for targets in module.bound.values() for target in targets)
            registered = [unit for unit in bound if isinstance(unit, Unit) and self._is_registered(unit)]
            self._effects_of[module] = [*(self._effects(package) if package else []), *module.effects, *registered]
        return self._effects_of[module]

    def _is_registered(self, unit: Unit) -> bool:
        decorators: list[ast.expr] = getattr(unit.node, "decorator_list", [])
        names = (dotted(each.func if isinstance(each, ast.Call) else each) for each in decorators)
        return any(isinstance(target, Unit) for name in names for target in self._resolve(unit, name))

    def _uses(self, unit: Unit) -> list[tuple[str, Unit | str]]:
        """Returns the names that a unit uses, sorted, each with what it stands for: a unit, or a name that ends the
        search."""
        if unit not in self._used:
            names = sorted(unit.essence.names | (unit.module.bound.keys() & {"*"}))
            found = [(name, target) for name in names for target in self._resolve(unit, name)]
            self._used[unit] = [(name, self._ended(target)) for name, target in found]
        return self._used[unit]

    def _ended(self, target: Unit | str) -> Unit | str:
        """Returns the name of an error or a declaration, at which the search ends, and anything else unchanged."""
        if isinstance(target, Unit) and isinstance(target.node, ast.ClassDef):
            name = target.node.name
            declares = f"{target.module.name}.{name}".partition(".")[2] in DECLARATIONS
            if declares or "builtins.Exception" in self._outside_bases(target):
                return name
        return target

    def _outside_bases(self, unit: Unit) -> set[str]:
        """Returns the classes of other packages that a class derives from, at any depth, and its metaclass.

        Every builtin error counts as builtins.Exception; "unknown" is a class that no class statement made.
        """
        if not isinstance(unit.node, ast.ClassDef):
            return {"unknown"}
        bases: set[str] = set()
        for base in (*unit.node.bases, *(keyword.value for keyword in unit.node.keywords)):
            name = dotted(base.value if isinstance(base, ast.Subscript) else base)
            for target in self._resolve(unit, name) or [_builtin(name)]:
                if isinstance(target, str):
                    bases.add(target)
                elif target is not unit:
                    bases |= self._outside_bases(target)
        return bases

    def _resolve(self, unit: Unit, name: str) -> list[Unit | str]:
        """Returns what a name, with its attributes, stands for in a unit; nothing if it is local or builtin."""
        head, *rest = name.split(".")
        if head in unit.essence.imports:
            origins = unit.essence.imports[head]
        else:
            origins = [(unit.module.name, head)] if head in unit.module.bound else []
        return list(dict.fromkeys(target for origin in origins for target in self._find((*origin, *rest), set())))

    def _find(self, origin: Origin, seen: set[Origin]) -> Iterator[Unit | str]:
        """Yields the units that an origin leads to: of a module without an attribute all, and of another package its
        full name. Skips what has been seen, because modules may import each other."""
        name, *rest = origin
        module = self.module(name)
        if module is None:
            yield ".".join(origin)
        elif rest and rest[0] in module.bound and (name, rest[0]) not in seen:
            seen.add((name, rest[0]))
            for bound in module.bound[rest[0]]:
                yield from [bound] if isinstance(bound, Unit) else self._find((*bound, *rest[1:]), seen)
        elif rest and self.module(f"{name}.{rest[0]}"):
            yield from self._find((f"{name}.{rest[0]}", *rest[1:]), seen)
        elif (name,) not in seen:
            seen.add((name,))
            for bound_name in sorted(module.bound):
                yield from self._find((name, bound_name), seen)


def _builtin(name: str) -> str:
    kind = getattr(builtins, name, None)
    return "builtins.Exception" if isinstance(kind, type) and issubclass(kind, BaseException) else f"builtins.{name}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
