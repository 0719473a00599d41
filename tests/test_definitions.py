"""What a section's source digest notices: the definitions that the section uses, and nothing else.

The first half writes small packages; the second changes copies of this one.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import greenlet
import pytest

from generators import models
from generators.lab import Lab
from generators.records.errors import SectionError
from generators.running import run, staleness
from generators.running.definitions import Definitions, Unit
from generators.running.session import Observer, Session

ROOT = Path(__file__).parents[1]
MODELS = ("pocket", "deepfloyd")
SECTIONS = [*staleness.sections()]


def write(folder: Path, **files: str) -> Path:
    """Writes a package called pack: `a__b` is pack/a/b.py, `a___` is pack/a/__init__.py, and `_` pack/__init__.py."""
    for name, text in {"_": "", **files}.items():
        parts = ["__init__" if part == "_" else part for part in re.split(r"__(?!$)", name)]
        path = folder.joinpath("pack", *parts).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder / "pack"


def digest(folder: Path, **files: str) -> str:
    """The digest of pack.main:ROOT in a package of these files."""
    shutil.rmtree(folder / "pack", ignore_errors=True)
    return Definitions(write(folder, **files)).digest(["pack.main:ROOT"])


# --- one package, changed in one place at a time

PACK = {
    "main": '''
        """A section."""
        from __future__ import annotations
        import functools
        from functools import partial
        from typing import TYPE_CHECKING, Any, NamedTuple
        import pack.far.away
        import pack.dotted as dots
        from . import limits, filters as fl
        from .far import exported as shown
        from .helpers import (
            Cached, Circle, Colour, Grid, Shape, Wrong, both, chosen, decorated, fallback, first, hurried, nested,
            syntax, third,
        )
        from .figures import Figure, Section, each

        if TYPE_CHECKING:
            from .unseen import Hidden
        else:
            Hidden = 43

        def draw(lab: Hidden, x: limits.Any_ = None) -> Hidden:
            """Draws."""
            from .late import late
            y: int = limits.USED  # a comment
            if x is None:
                raise Wrong(f"these words, {limits.IN_AN_ERROR}")
            if TYPE_CHECKING:
                x = 44
            try:
                shape = Circle(y).area()
            except Wrong:
                shape = lab.middle.real
            return shown(late(shape, fl.low(x), pack.far.away.reached(), dots.dotted()), decorated(), nested(), first)

        def others():
            fl, dots, limits = Hidden, 45, hurried
            return both, chosen, fallback, third, Grid(1), Cached().work(), Colour.RED, Shape, syntax

        ROOT = Section("1", "Title", [
            Figure("name", caption="Caption", label="label", alt="alt", row="row", cases=each(k=(0, 1)), draw=draw),
            Figure("other", caption="Caption", label="label", alt={"a": "alt"}, cases=each(k=2), draw=others),
        ])
        ''',
    "limits": 'USED = 1\nUNUSED = 2\nIN_AN_ERROR = 3\nIN_HELPER = 4\nIN_METHOD = 5\nIN_UNUSED_METHOD = 6\nAny_ = 7\n',
    "filters": "from . import limits\n\ndef low(x):\n    return _low(x, limits.IN_HELPER)\n\n"
    "def _low(x, by):\n    return x * by\n\ndef high(x):\n    return x - 1\n",
    "dotted": "def dotted(): return 8\ndef undotted(): return 9\n",
    "far___": "from .inner import exported, hidden\n",
    "far__inner": "def exported(*x): return 10\ndef hidden(): return 11\n",
    "far__away": "def reached(): return 12\ndef unreached(): return 13\n",
    "late": "def late(*x): return 14\ndef later(*x): return 47\n",
    "unseen": "class Hidden:\n    size = 15\n",
    "figures": '''
        class Figure:
            """Declares."""
            def __init__(self, **fields): self._check(fields)
            def _check(self, fields): return checks(fields, 16)
        class Section(Figure): pass
        def checks(*x): return 17
        def each(**axes): return [axes, 18]
        ''',
    "helpers": '''
        import os
        from dataclasses import dataclass, field
        from abc import ABC
        from enum import Enum
        from functools import cache
        import torch
        from torch import nn
        from . import limits

        class Shape(ABC):
            sides: int = 19
            def scale(self, by=20): return by
            def area(self): return self.scale()
        class Circle(Shape):
            def __init__(self, radius): self.radius = radius + 21
            def area(self): return super().area() + limits.IN_METHOD
            def unused(self): return limits.IN_UNUSED_METHOD
            @property
            def width(self): return 22
            @property
            def middle(self): return 46
        @dataclass
        class Grid:
            """A grid."""
            rows: int
            columns: int = field(default=23)
            def __post_init__(self): self.ready = 24
        class Cached(nn.Module):
            def forward(self, x): return x + 25
            def work(self): return 26
        class Colour(Enum):
            RED = 27
            def _missing_(cls): return 28
            def mixed(self): return 29
        class Wrong(ValueError):
            def __init__(self, words): super().__init__(words + "30")

        def wrapper(f):
            return cache(f)
        @cache
        def decorated(size=31) -> int:
            return size
        def nested():
            def inner():
                return deeper(32)
            return inner
        def deeper(x: int):
            return x
        if os.name == "posix":
            def chosen(): return 33
        else:
            def chosen(): return 34
        try:
            from fast import fallback
        except ImportError:
            def fallback(): return 35
        if os.sep == "/":
            from .late import late as hurried
        else:
            from .late import later as hurried
        first, (second, *third) = 36, (37, 38)
        both = 39
        both += 40
        idle = 41
        idle += 42
        async def syntax(x: int, /, *y, z=None, **w) -> int:
            match x:
                case {"a": [b, *c], **d} if (n := len(c)) > 1_000:
                    return f"{b!r:>{n}} {n=:.1f}" "é 🦊\\u2e5e" rf"\\d{x}", b"y", 0x10, 1e-9, 2j, ...
            async with x as (e, f), y:
                return [i async for i in w if i] + [*y, {**w}, lambda a=1: (yield a), x[1:, ::2], not -x @ z]
        ''',
}  # fmt: skip

NOTICED = {
    "a constant reached through a module": ("limits", "USED = 1", "USED = 0"),
    "one that a helper reaches so": ("limits", "IN_HELPER = 4", "IN_HELPER = 0"),
    "one that a method reaches so": ("limits", "IN_METHOD = 5", "IN_METHOD = 0"),
    "the section's own function": ("main", "return shown(", "return 1 + shown("),
    "its cases": ("main", "k=(0, 1)", "k=(0, 2)"),
    "its other figure": ("main", "each(k=2)", "each(k=3)"),
    "a function reached through a module": ("filters", "return _low(x,", "return _low(-x,"),
    "a helper of a helper": ("filters", "return x * by", "return x / by"),
    "a function through `import a.b as c`": ("dotted", "return 8", "return 0"),
    "a function through `import a.b`": ("far__away", "return 12", "return 0"),
    "a function that a package re-exports": ("far__inner", "return 10", "return 0"),
    "a function imported inside a function": ("late", "return 14", "return 0"),
    "a helper of declarations": ("figures", "[axes, 18]", "[axes, 0]"),
    "a decorated function": ("helpers", "size=31", "size=0"),
    "a decorator": ("helpers", "@cache\ndef decorated", "@wrapper\ndef decorated"),
    "a nested function": ("helpers", "deeper(32)", "deeper(0)"),
    "a helper of a nested function": ("helpers", "def deeper(x: int):\n    return x", "def deeper(x):\n    return -x"),
    "a definition under if": ("helpers", "return 33", "return 0"),
    "a definition under else": ("helpers", "return 34", "return 0"),
    "the condition of a definition": ("helpers", '"posix"', '"nt"'),
    "a definition under except": ("helpers", "return 35", "return 0"),
    "the condition of an import": ("helpers", '"/"', "'|'"),
    "an import under else": ("late", "return 47", "return 0"),
    "what is defined but for type checkers": ("main", "Hidden = 43", "Hidden = 0"),
    "an attribute of which another is used": ("helpers", "return 46", "return 0"),
    "an import under try": ("helpers", "from fast import", "from slow import"),
    "one of several names": ("helpers", "36, (37, 38)", "36, (37, 0)"),
    "the first of two statements that define a name": ("helpers", "both = 39", "both = 0"),
    "the second": ("helpers", "both += 40", "both += 0"),
    "the class attribute of a base": ("helpers", "sides: int = 19", "sides: int = 0"),
    "the type of a field": ("helpers", "rows: int", "rows: float"),
    "the default of a field": ("helpers", "default=23", "default=0"),
    "a special method": ("helpers", "self.ready = 24", "self.ready = 0"),
    "the constructor": ("helpers", "radius + 21", "radius"),
    "a method that is used": ("helpers", "+ limits.IN_METHOD", "- limits.IN_METHOD"),
    "a base's method, used by super()": ("helpers", "return self.scale()", "return -self.scale()"),
    "a method that this method uses": ("helpers", "by=20", "by=0"),
    "a method that another package may call": ("helpers", "x + 25", "x"),
    "a base class": ("helpers", "class Circle(Shape)", "class Circle(Shape, list)"),
    "a member of an enumeration": ("helpers", "RED = 27", "RED = 0"),
    "the module of an outside name": ("helpers", "from functools import cache", "from mine import cache"),
    "that anything is raised": ("main", 'raise Wrong(f"these words, {limits.IN_AN_ERROR}")', "pass"),
}

UNNOTICED = {
    "a comment": ("main", "# a comment", "# another"),
    "a docstring": ("main", '"""Draws."""', '"""Draws, well."""'),
    "a missing docstring": ("helpers", '"""A grid."""', "..."),
    "a new docstring": ("limits", "USED = 1", '"""Limits."""\nUSED = 1'),
    "the layout": ("main", "nested(), first)", "nested(),\n\n        first,\n    )"),
    "a caption": ("main", 'caption="Caption", label="label", alt="alt"', 'caption="New", label="label", alt="alt"'),
    "a label": ("main", 'label="label", alt="alt"', 'label="new", alt="alt"'),
    "an alt text": ("main", '{"a": "alt"}', '{"a": "new", "b": "alt"}'),
    "a row": ("main", 'row="row"', 'row="new"'),
    "a missing row": ("main", 'row="row", ', ""),
    "a title": ("main", '"Title"', '"New"'),
    "the annotation of a parameter": ("main", "lab: Hidden", "lab: Any"),
    "a missing annotation": ("main", "lab: Hidden", "lab"),
    "the annotation of a result": ("main", "-> Hidden:", "-> Any:"),
    "the annotation of a variable": ("main", "y: int =", "y: float ="),
    "a missing annotation of a variable": ("main", "y: int =", "y ="),
    "what only an annotation names": ("limits", "Any_ = 7", "Any_ = 0"),
    "what only type checkers import": ("unseen", "size = 15", "size = 0"),
    "the words of an error": ("main", "these words", "other words"),
    "the error": ("main", 'Wrong(f"these words, {limits.IN_AN_ERROR}")', 'ValueError("these words") from None'),
    "what only an error names": ("limits", "IN_AN_ERROR = 3", "IN_AN_ERROR = 0"),
    "what only type checkers would run": ("main", "x = 44", "x = 0"),
    "the class of an error that is caught": ("helpers", 'words + "30"', "words"),
    "the checks of declarations": ("figures", "checks(fields, 16)", "checks(fields, 0)"),
    "what only declarations use": ("figures", "return 17", "return 0"),
    "a constant that is not used": ("limits", "UNUSED = 2", "UNUSED = 0"),
    "a function of a module that is used": ("filters", "return x - 1", "return x - 2"),
    "another function of `import a.b as c`": ("dotted", "return 9", "return 0"),
    "another function of `import a.b`": ("far__away", "return 13", "return 0"),
    "another name that a package re-exports": ("far__inner", "return 11", "return 0"),
    "a method that is not used": ("helpers", "return limits.IN_UNUSED_METHOD", "return 0"),
    "what only such a method reaches": ("limits", "IN_UNUSED_METHOD = 6", "IN_UNUSED_METHOD = 0"),
    "a property that is not used": ("helpers", "return 22", "return 0"),
    "a method of an enumeration that is not used": ("helpers", "return 29", "return 0"),
    "a decorator that is not used": ("helpers", "return cache(f)", "return f"),
    "two statements that define an unused name": ("helpers", "idle = 41\nidle += 42", "idle = 0"),
    "a new definition": ("helpers", "idle = 41", "idle = 41\ndef new(): return 0"),
    "a new method": ("helpers", "return 22", "return 22\n    def new(self): return 0"),
    "the order of imports": (
        "main",
        "import functools\nfrom functools import partial",
        "from functools import partial",
    ),
    "the order of definitions": ("limits", "USED = 1\nUNUSED = 2\n", "UNUSED = 2\nUSED = 1\n"),
    "the order of methods": (
        "helpers",
        "    def scale(self, by=20): return by\n    def area(self): return self.scale()\n",
        "    def area(self): return self.scale()\n    def scale(self, by=20): return by\n",
    ),
}


def edited(files: dict[str, str], file: str, old: str, new: str) -> dict[str, str]:
    text = textwrap.dedent(files[file])
    assert old in text
    return {**files, file: text.replace(old, new, 1)}


@pytest.mark.parametrize("name", NOTICED)
def test_a_change_of_what_is_used_is_noticed(name, tmp_path):
    assert digest(tmp_path, **edited(PACK, *NOTICED[name])) != digest(tmp_path, **PACK)


@pytest.mark.parametrize("name", UNNOTICED)
def test_a_change_of_what_is_not_used_or_of_words_is_not_noticed(name, tmp_path):
    assert digest(tmp_path, **edited(PACK, *UNNOTICED[name])) == digest(tmp_path, **PACK)


def test_the_digest_is_the_same_on_every_python(tmp_path):
    """From Python 3.11 to 3.13. A change of how definitions are digested changes it, and makes all sections stale."""
    assert digest(tmp_path, **PACK) == "a2c126ffab5eb2aef5eb7fdcf8b4b61cfd540c5483aa4fec4dbc1b86119d459e"


def test_one_reading_serves_several_roots(tmp_path):
    found = Definitions(write(tmp_path, **PACK))
    roots = (["pack.main:ROOT"], ["pack.main:draw"], ["pack.helpers:Grid", "pack.helpers:Cached"], ["pack.main:ROOT"])
    digests = [found.digest(root) for root in roots]
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3
    assert digests == [Definitions(tmp_path / "pack").digest(root) for root in roots]


def test_what_was_read_before_does_not_matter(tmp_path):
    """Modules whose effects count, read in one order and in the other."""
    names = "abcdefgh"
    files = {name: f"print({place})\ndef f(): return {place}\n" for place, name in enumerate(names)}
    files["main"] = f"from . import {', '.join(names)}\nROOT = ({', '.join(f'{name}.f' for name in names)})\n"
    folder = write(tmp_path, **files)
    fresh, used = Definitions(folder), Definitions(folder)
    for name in reversed(names):
        used.digest([f"pack.{name}:f"])
    assert fresh.digest(["pack.main:ROOT"]) == used.digest(["pack.main:ROOT"])


# --- exchanges and moves

SWAPS = {
    "functions of one module": (
        "from .a import f as x, g as y\nROOT = (x(), y())\n",
        "from .a import g as x, f as y\nROOT = (x(), y())\n",
    ),
    "the same function under two names": (
        "from .a import f as x, g as y, f as z\nROOT = (x(), y(), z())\n",
        "from .a import f as x, g as y, g as z\nROOT = (x(), y(), z())\n",
    ),
    "constants of two modules": (
        "from .a import K as x\nfrom .b import K as y\nROOT = (x, y)\n",
        "from .b import K as x\nfrom .a import K as y\nROOT = (x, y)\n",
    ),
    "functions that differ only in what they reach": (
        "from .a import h as x\nfrom .b import h as y\nROOT = (x, y)\n",
        "from .b import h as x\nfrom .a import h as y\nROOT = (x, y)\n",
    ),
    "modules": (
        "from . import a, b\nROOT = (a.K, b.K)\n",
        "from . import b as a, a as b\nROOT = (a.K, b.K)\n",
    ),
    "modules of another package": (
        "import torch as a, numpy as b\nROOT = (a.ones, b.ones)\n",
        "import numpy as a, torch as b\nROOT = (a.ones, b.ones)\n",
    ),
    "names of another package": (
        "from math import sin as x, cos as y\nROOT = (x, y)\n",
        "from math import cos as x, sin as y\nROOT = (x, y)\n",
    ),
    "imports inside a function": (
        "def ROOT():\n    from .a import f as x, g as y\n    return x, y\n",
        "def ROOT():\n    from .a import g as x, f as y\n    return x, y\n",
    ),
    "errors that are caught": (
        "from .a import E as x, D as y\ntry:\n    ROOT = 1\nexcept x:\n    ROOT = 2\nexcept y:\n    ROOT = 3\n",
        "from .a import D as x, E as y\ntry:\n    ROOT = 1\nexcept x:\n    ROOT = 2\nexcept y:\n    ROOT = 3\n",
    ),
}


@pytest.mark.parametrize("name", SWAPS)
def test_two_imports_that_change_places_are_noticed(name, tmp_path):
    before, after = SWAPS[name]
    a = "def f(): return 1\ndef g(): return 2\nK = 3\ndef h(): return K\nclass E(ValueError): pass\nclass D(E): pass\n"
    b = "K = 4\ndef h(): return K\n"
    assert digest(tmp_path, main=before, a=a, b=b) != digest(tmp_path, main=after, a=a, b=b)


SOURCE = "import math\nfrom .base import Base\n\nSIZE = 2\n\n\ndef f(x):\n    return math.sin(x) * SIZE\n\n\n"
KIND = "class Kind(Base):\n    def size(self):\n        return f(SIZE)\n"
USER = "from .a import f, Kind, SIZE\nROOT = (f(SIZE), Kind().size())\n"
BASE = "class Base:\n    def size(self):\n        return 1\n"
MOVES = {
    "a module": {
        "main": "from .deep.c import f, Kind, SIZE\nROOT = (f(SIZE), Kind().size())\n",
        "deep__c": (SOURCE + KIND).replace("from .base", "from ..base"),
        "base": BASE,
    },
    "a class": {
        "main": "from .a import f, SIZE\nfrom .b import Kind\nROOT = (f(SIZE), Kind().size())\n",
        "a": SOURCE.replace("from .base import Base\n", ""),
        "b": f"from .a import f, SIZE\nfrom .base import Base\n\n\n{KIND}",
        "base": BASE,
    },
    "a base class": {"main": USER, "a": SOURCE.replace("from .base import Base", BASE) + KIND},
    "a constant": {
        "main": "from .b import SIZE\nfrom .a import f, Kind\nROOT = (f(SIZE), Kind().size())\n",
        "a": "from .b import SIZE\n" + (SOURCE + KIND).replace("SIZE = 2\n", ""),
        "b": "SIZE = 2\n",
        "base": BASE,
    },
    "all into the section": {
        "main": SOURCE.replace("from .base import Base", BASE) + KIND + "ROOT = (f(SIZE), Kind().size())\n",
    },
    "a re-export that is left behind": {
        "main": USER,
        "a": "from .b import f, Kind, SIZE\n",
        "b": SOURCE + KIND,
        "base": BASE,
    },
}


@pytest.mark.parametrize("name", MOVES)
def test_a_moved_definition_is_not_noticed(name, tmp_path):
    before = digest(tmp_path, main=USER, a=SOURCE + KIND, base=BASE)
    assert digest(tmp_path, **MOVES[name]) == before
    for file, text in MOVES[name].items():  # but it is still followed
        if "SIZE = 2" in text:
            assert digest(tmp_path, **{**MOVES[name], file: text.replace("SIZE = 2", "SIZE = 3")}) != before


# --- what is followed as a whole

BASES = {  # of a class with a method that nothing here calls: does the method count?
    "": False,
    "(object)": False,
    "(ABC)": False,
    "(metaclass=abc.ABCMeta)": False,
    "(Protocol)": False,
    "(NamedTuple)": False,
    "(Generic[T])": False,
    "(Enum)": False,
    "(Plain)": False,
    "(Plain, ABC)": False,
    "(nn.Module)": True,
    "(nn.Module, ABC)": True,
    "(Mapping[str, int])": True,
    "(dict)": True,
    "(namedtuple('A', 'b c'))": True,
    "(Layer)": True,
    "(Deep)": True,
    "(Made)": True,
    "(metaclass=Meta)": True,
    "(metaclass=other.Meta)": True,
}


@pytest.mark.parametrize("bases", BASES)
def test_a_method_that_only_another_package_may_call_counts_by_the_base_class(bases, tmp_path):
    main = f"""
        import abc, other
        from abc import ABC
        from collections import namedtuple
        from collections.abc import Mapping
        from enum import Enum
        from typing import Generic, NamedTuple, Protocol, TypeVar
        from torch import nn
        from .layers import Deep, Layer, Made, Meta, Plain
        T = TypeVar("T")
        class Root{bases}:
            def idle(self): return 1
        ROOT = Root
        """
    layers = """
        from torch import nn
        class Plain: pass
        class Layer(nn.Module): pass
        class Deep(Layer, Plain): pass
        class Meta(type): pass
        Made = Meta("Made", (), {})
        """
    before = digest(tmp_path, main=main, layers=layers)
    assert (digest(tmp_path, main=main.replace("return 1", "return 2"), layers=layers) != before) is BASES[bases]


WHOLE = {  # the main module; b has f, and K, which a imports
    "a module that is passed on": "from . import b\nROOT = vars(b)\n",
    "one under another name": "import pack.b as c\nROOT = [getattr(module, 'K') for module in (c,)]\n",
    "one imported inside": "def ROOT():\n    from . import b\n    return b\n",
    "a star import": "from .b import *\nROOT = f()\n",
    "a star import of a re-export": "from .a import *\nROOT = K\n",
    "a name that the module does not show": "from .b import computed\nROOT = computed\n",
    "a module that imports others": "from . import a\nROOT = a\n",
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_module_used_otherwise_than_by_attributes_counts_as_a_whole(name, tmp_path):
    files = {"main": WHOLE[name], "a": "from .b import K\nfrom . import main\n", "b": "def f(): return 1\nK = 2\n"}
    if "star import of" in name:
        files["a"] = "from .b import *\n"
    assert digest(tmp_path, **edited(files, "b", "K = 2", "K = 3")) != digest(tmp_path, **files)


EFFECTS = {
    "a call": "import os\nos.environ.setdefault('A', '1')\n",
    "an assignment to an item": "import os\nos.environ['A'] = '1'\n",
    "an assignment to an attribute": "import torch\ntorch.backends.a = '1'\n",
    "a loop": "for each in '1':\n    print(each)\n",
    "a call under if": "if True:\n    print('1')\n",
    "a call under except": "try:\n    K = 1\nexcept ValueError:\n    print('1')\n",
    "a call of a helper": "def helper(): return '1'\nhelper()\n",
    "a call of a helper elsewhere": "from .late import helper\nhelper('1')\n",
    "a registered function": "from .late import helper\n@helper\ndef registered(): return '1'\n",
    "a registered class": "from . import late\n@late.helper(2)\nclass Registered:\n    a = '1'\n",
}
NO_EFFECTS = {
    "a docstring": "'1'\n",
    "what type checkers run": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    print('1')\n",
    "the same in a module": "import typing\nif typing.TYPE_CHECKING:\n    print('1')\n",
    "an unused constant": "K = print('1')\n",
    "an unused constant under if": "if True:\n    K = print('1')\n",
    "an import": "import torch as a1\n",
    "a function that another package decorates": "import functools\n@functools.cache\ndef unused(): return '1'\n",
}


@pytest.mark.parametrize("name", [*EFFECTS, *NO_EFFECTS])
@pytest.mark.parametrize("file", ["main", "a", "_", "b"])
def test_the_effects_of_importing_a_module_count_if_something_in_it_is_used(name, file, tmp_path):
    """That includes its package's; nothing of b is used."""
    text = {**EFFECTS, **NO_EFFECTS}[name]
    late = "def helper(x): return 5\n"
    main = "from .a import f\nfrom .b import g\nROOT = f\n"
    files = {"_": "", "main": main, "a": "def f(): return 2\n", "b": "def g(): return 3\n", "late": late}
    files[file] = text + files[file]
    noticed = digest(tmp_path, **edited(files, file, "1", "0")) != digest(tmp_path, **files)
    assert noticed is (name in EFFECTS and file != "b")


CYCLES = {
    "two modules": {"main": "from .a import f\nROOT = f\n", "a": "from .main import ROOT\ndef f(): return ROOT, 1\n"},
    "two re-exports of each other": {"main": "from .a import ROOT\n", "a": "from .main import ROOT\nROOT = 1\n"},
    "a package and its module": {
        "_": "from . import main\nfrom .a import f\n", "main": "from . import f\nROOT = f\n", "a": "f = 1\n"
    },
    "whole modules": {"main": "from . import a\nROOT = a\n", "a": "from . import main\nf = main, 1\n"},
    "star imports": {"main": "from .a import *\nROOT = f\n", "a": "from .main import *\nf = 1\n"},
    "a class that hides another": {"main": "from .a import f\nclass f(f): pass\nROOT = f\n", "a": "class f: a = 1\n"},
}  # fmt: skip


@pytest.mark.parametrize("name", CYCLES)
def test_modules_that_import_each_other_end(name, tmp_path):
    files = CYCLES[name]
    assert digest(tmp_path, **edited(files, "a", "1", "2")) != digest(tmp_path, **files)


@pytest.mark.parametrize(
    "main",
    [
        "from .nowhere import f\nROOT = f\n",
        "from . import nowhere\nROOT = nowhere.f()\n",
        "import pack.nowhere.else_\nROOT = pack.nowhere.else_.f()\n",
        "from ....above import f\nROOT = f\n",
        "x = 1\n",
        "",
    ],
)
def test_what_cannot_be_imported_is_not_refused_here(main, tmp_path):
    """Python says so when the section is loaded."""
    assert re.fullmatch("[0-9a-f]{64}", digest(tmp_path, main=main))


UNPARSED = {
    "the section": ({"main": "ROOT = 1\ndef (:\n"}, r"main\.py:2: does not parse: .+"),
    "a helper": ({"main": "from .a import f\nROOT = f\n", "a": "\n\n\nx = (\n"}, r"a\.py:4: does not parse: .+"),
    "a null byte": ({"main": "ROOT = 1\0\n"}, r"main\.py:1: does not parse: .+"),
    "a package": ({"main": "from .a.b import f\nROOT = f\n", "a___": "if\n", "a__b": "f = 1\n"}, r"__init__\.py:1: .+"),
}


@pytest.mark.parametrize("name", UNPARSED)
def test_a_module_that_does_not_parse_is_refused_with_file_and_line(name, tmp_path):
    files, message = UNPARSED[name]
    with pytest.raises(SectionError, match=f"^{message}$") as caught:
        digest(tmp_path, **files)
    assert "\n" not in str(caught.value)


def test_a_module_that_does_not_parse_and_is_not_used_is_not_read(tmp_path):
    digest(tmp_path, main="ROOT = 1\n", a="def (:\n")


# --- this package


def source_digests(folder: Path) -> dict[tuple[str, str], str]:
    """The source digests of all sections and models, with the definitions in this copy of the package."""
    found = Definitions(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staleness, "_definitions", lambda: found)
        return {(section, model): staleness.source_digest(section, model) for section in SECTIONS for model in MODELS}


@pytest.fixture(scope="module")
def unchanged() -> dict[tuple[str, str], str]:
    return source_digests(ROOT / "generators")


@pytest.fixture
def stale(unchanged, tmp_path):
    """stale(file, change) changes a file in a copy of the package; returns what becomes stale, as (section, model)."""

    def changed(file: str, change: Callable[[str], str]) -> set[tuple[str, str]]:
        ignored = shutil.ignore_patterns("__pycache__", "weights")
        path = shutil.copytree(ROOT / "generators", tmp_path / "generators", ignore=ignored) / file
        text = path.read_text(encoding="utf-8")
        assert change(text) != text
        path.write_text(change(text), encoding="utf-8")
        digests = source_digests(tmp_path / "generators")
        return {key for key, digest in digests.items() if unchanged[key] != digest}

    return changed


def put(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


def wrap(function: str) -> Callable[[str], str]:
    """Changes a function, a method or a class: adds a decorator."""
    return lambda text: re.sub(rf"(?m)^( *)(def|class) {function}\b", r"\1@changed\n\g<0>", text, count=1)


def sections(*names: str) -> set[tuple[str, str]]:
    return {(section, model) for section in names for model in MODELS}


def drawn_by(model: str) -> set[tuple[str, str]]:
    return {(section, model) for section in SECTIONS}


@pytest.mark.parametrize(
    "names", re.findall(r"(?m)^([A-Z_, ]+) =", (ROOT / "generators" / "prompts.py").read_text(encoding="utf-8"))
)
def test_a_changed_prompt_makes_stale_the_sections_that_name_it(names, stale):
    named = re.compile(rf"\b({names.replace(', ', '|')})\b")
    users = [name for name, path in staleness.sections().items() if named.search(path.read_text(encoding="utf-8"))]
    assert stale("prompts.py", put(f"{names} = ", f"{names} = 1, ")) == sections(*users)


def test_a_new_view_makes_stale_what_asks_for_views_by_name(stale):
    """By the README's recipe. At present 1.10 asks so, for views that it could name."""
    (recipe,) = re.findall(r"## Adding a view\n.*?```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    function, _, entry = recipe.partition("VIEWS = {\n    ...\n")
    entry = entry.removesuffix("}\n")

    def added(text: str) -> str:
        return re.sub(r"(?m)^VIEWS\b.*\{.*\n", lambda found: f"{function}{found[0]}{entry}", text)

    reaching = {section for section, _ in stale("diffusion/views.py", added)}
    assert not reaching - {"1.10"}, f"they reach VIEWS: {reaching}"


USED = {
    "a method of the lab": ("lab.py", wrap("inpaint"), sections("1.7.2")),
    "another": ("lab.py", wrap("sdedit"), sections("1.7", "1.7.1", "1.7.3")),
    "a helper of that method": ("diffusion/sampling.py", wrap("keep_known"), sections("1.7.2")),
    "a helper of a helper": ("diffusion/filters.py", wrap("kernel_for"), sections("1.2", "1.4")),
    "what many use": ("diffusion/schedule.py", wrap("at"), sections(*SECTIONS)),
    "a helper of sections": ("editing.py", put("LEVELS = (", "LEVELS = (0, "), sections("1.7", "1.7.1", "1.7.3")),
    "how inputs are read": ("inputs.py", put("_SVG_OVERSAMPLING = ", "_SVG_OVERSAMPLING = 2 * "), sections(*SECTIONS)),
    "pocket's network": ("models/pocket/patches.py", put("COARSE = ", "COARSE = 1 + "), drawn_by("pocket")),
    "its text encoder's": ("models/pocket/minilm.py", put("TOKENS = ", "TOKENS = 1 + "), drawn_by("pocket")),
    "a later stage's": (
        "models/pocket/super_resolution.py", put("RESIDUAL = ", "RESIDUAL = 2 * "), drawn_by("pocket")
    ),
    "how DeepFloyd encodes prompts": ("models/deepfloyd/text.py", wrap("encode"), drawn_by("deepfloyd")),
    "the precision of that": ("models/deepfloyd/text.py", put("DTYPE = ", "DTYPE = 2 * "), drawn_by("deepfloyd")),
    "whether it cleans prompts": ("models/deepfloyd/text.py", put("N = False", "N = True"), drawn_by("deepfloyd")),
    "how its layers take turns": ("models/deepfloyd/text.py", wrap("answer"), drawn_by("deepfloyd")),
    "how an embedding is read": ("models/deepfloyd/text.py", wrap("read"), drawn_by("deepfloyd")),
    "how the course's is": ("models/deepfloyd/course_embeddings.py", wrap("read"), drawn_by("deepfloyd")),
    "how weights are read": ("models/deepfloyd/disk.py", put('"pread"', '"mmap"'), drawn_by("deepfloyd")),
    "the precision of its stages": ("models/deepfloyd/cascade.py", wrap("dtype"), drawn_by("deepfloyd")),
    "where they are": ("models/deepfloyd/cascade.py", wrap("enter"), drawn_by("deepfloyd")),
    "its third stage": (
        "models/deepfloyd/cascade.py", wrap("ThirdStage"), drawn_by("deepfloyd") & sections("0", "1.8", "1.9", "1.10"),
    ),
    "the cache of outputs": ("models/forward_cache.py", wrap("find"), drawn_by("deepfloyd")),
}  # fmt: skip


@pytest.mark.parametrize("name", USED)
def test_a_change_makes_stale_the_sections_and_models_that_use_it(name, stale):
    file, change, expected = USED[name]
    assert stale(file, change) == expected


UNUSED = {
    "the words of a refused view": ("diffusion/views.py", put("this view is not orthogonal", "not a permutation")),
    "an error's class": ("records/errors.py", put("class ModelError(ReportError):", "class ModelError(ValueError):")),
    "the checks of a figure": ("figures.py", wrap("_check_texts")),
    "the checks of a section": ("figures.py", put("for name in names", "for name in sorted(names)")),
    "a field of a panel": ("figures.py", put("    image: Any\n", "    image: Any\n    size: int = 0\n")),
    "how panels are written": ("running/drawing.py", wrap("write_panel")),
    "the plan of a run": ("models/deepfloyd/plan.py", put("LONGEST = ", "LONGEST = 2 * ")),
    "which prompts lack an embedding": ("models/deepfloyd/text.py", wrap("missing")),
    "a network's size, which its file says": ("models/pocket/patches.py", wrap("denoiser")),
    "pocket's pipeline": ("pipeline.py", wrap("PocketPipeline")),
    "the drawings of the training": ("making/drawings/scenes.py", put("\ndef ", "\n@changed\ndef ")),
    "the benchmark": ("bench/configurations.py", put("\ndef ", "\n@changed\ndef ")),
    "a new constant": ("prompts.py", lambda text: f'{text}NEW = "a new prompt"\n'),
    "a new method of the lab": ("lab.py", put("    def inpaint", "    def unused(self): ...\n    def inpaint")),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSED)
def test_a_change_of_what_no_section_uses_makes_nothing_stale(name, stale):
    assert stale(*UNUSED[name]) == set()


class NewWords(ast.NodeTransformer):
    """Changes all texts of errors that are raised."""

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                part.value += " in new words"
        return node


@pytest.mark.parametrize(
    "file",
    [
        *("inputs.py", "figures.py", "models/__init__.py", "models/base.py", "diffusion/views.py"),
        *("diffusion/filters.py", "diffusion/schedule.py", "models/deepfloyd/text.py", "models/deepfloyd/disk.py"),
    ],
)
def test_new_words_of_errors_make_nothing_stale(file, stale):
    assert stale(file, lambda text: ast.unparse(NewWords().visit(ast.parse(text)))) == set()


@pytest.mark.parametrize("model", models.NAMES)
def test_what_defines_a_model_exists(model):
    """A name that is missing would be taken for its whole module, and a missing module for another package's."""
    found = Definitions(ROOT / "generators")
    for root in models.provider(model).definitions:
        module, _, name = root.partition(":")
        assert name in found.module(module).bound


def functions(units: set[Unit]) -> set[tuple[str, str]]:
    """The functions among these units, by module and qualified name."""
    found = set()
    for unit in units:
        name = getattr(unit.node, "name", "")
        found.add((unit.module.name, name))
        if isinstance(unit.node, ast.ClassDef):
            special = {part.name for part in unit.node.body if isinstance(part, ast.FunctionDef)}
            called = {method_name for method_name, method in unit.methods if method in units}
            found |= {(unit.module.name, f"{name}.{method}") for method in special | called}
    return found


@pytest.mark.parametrize("section_id", ["1.2", "1.4", "1.7.2", "1.8"])
def test_what_runs_while_a_section_is_drawn_is_among_its_definitions(section_id, tiny_pocket, tmp_path):
    """The check that Python itself makes of how names and methods are followed."""
    ran = set()

    def note(frame, event, argument):
        if event == "call":
            ran.add(frame.f_code)

    session, section = Session(models.load("pocket"), Observer()), run.load_section(section_id)
    before = greenlet.settrace(lambda event, switched: sys.setprofile(note))  # each greenlet has its own profiler
    sys.setprofile(note)
    try:
        run.draw_section(session, section, tmp_path / section_id, Observer())
    finally:
        sys.setprofile(None)
        greenlet.settrace(before)
    files = {code: Path(code.co_filename) for code in ran if code.co_filename.startswith(f"{ROOT}/generators/")}
    modules = {code: ".".join(file.relative_to(ROOT).with_suffix("").parts) for code, file in files.items()}
    machinery = re.compile(r"generators\.(running|records|figures|models\.__init__|models\.pocket\.words)\b")
    called = {
        (module, code.co_qualname.partition(".<")[0])
        for code, module in modules.items()
        if not machinery.match(module) and not code.co_qualname.startswith("<")
    }
    found = Definitions(ROOT / "generators")
    roots = [f"{staleness.module_of(section_id)}:SECTION", "generators.lab:Lab", *models.provider("pocket").definitions]
    reached = found.reached([unit for root in roots for unit in found.find(tuple(root.split(":")))])
    assert ("generators.lab", Lab.__init__.__qualname__) in called
    beside = {("generators.models.base", "Cascade.wait"), ("generators.models.pocket.cascade", "Pocket.hint")}
    assert called - functions(reached) <= beside
