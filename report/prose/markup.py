"""Renders prose to HTML: Markdown with the report's extensions.

    /// fig | 1.2-blur            a figure; text up to the closing `///` becomes a note below it
    /// fig | 1.4-trajectory | slide    … with a control; report/figures/controls.py lists them
    /// fig | 1.2-blur | values: psnr   … with values from the record below its panels
    /// fig | 1.8-large | columns: 256 × 256   … with these columns only; all three, in any order
    /// code | path.py::Name      a definition, quoted from the source
    /// code | path.py::Name | folded: what it shows   … collapsed under this title until the reader opens it
    /// only | pocket             prose that only the page of that model shows, or of several: deepfloyd deepfloyd-l
    /// seen | 0-stages 8f3a1c2d  what the author saw in these pictures; left out where the page shows others
                                  (report/prose/observations.py)
    /// lead, contents, logo      in intro.md: the opening of the page (report/page/opening.py)
    @fig:1.2-blur  @sec:1.7.2  @val:1.2-blur[t=250].psnr  $x_0$  $$x_t$$
    ![what it shows](inputs/scan.jpg)  a picture of the author's own, from a file in report/writeup
    @val:1.8-lion[prompt="a dog, running",k=0].gamma    a text with a comma or a bracket, quoted; "" is a quote in it

Directives, formulas and references are replaced by marks before Markdown is rendered, and the marks by finished HTML
afterwards. Markdown therefore leaves underscores in TeX alone, every problem has its line, and HTML written in prose is
shown as text.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as etree
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from markdown import Markdown
from markdown.treeprocessors import Treeprocessor
from markupsafe import Markup

from generators.records.errors import TexError
from generators.records.texts import CONTROL, MODELS, NAME, SECTION
from report.problems import Problems
from report.prose import observations
from report.prose.excerpt import highlighted
from report.prose.mathml import INLINE, displayed, mathml
from report.prose.observations import Observation
from report.prose.values import CONDITIONS, split

FIGURE = rf"{SECTION}-{NAME}"
VALUE = rf"(?:{FIGURE}(?:{CONDITIONS})?|{SECTION}|report(?:\.[A-Za-z][\w-]*)*)\.[A-Za-z_]\w*"
FOLDED = re.compile(r"folded(:.+)?")
OPENING = ("lead", "contents", "logo")
PLACEHOLDER = re.compile(
    r"\b[A-Z]+_HERE\b|\bTODO\b|\bFIXME\b|\bXXX+\b|\bTBD\b|(?i:\blorem ipsum\b)"
    r"|\[(?i:your|my|insert|add)\b[^\]]*\](?![(\[])"
)
# For each directive, how many arguments it takes, and its form.
DIRECTIVES = {
    "fig": ((1, 2, 3, 4), "/// fig | 1.2-blur` or `/// fig | 1.2-blur | control"),
    "code": ((1, 2), "/// code | path/to/file.py::name` or `/// code | path/to/file.py::name | folded: what it shows"),
    "only": ((1,), "/// only | name"),
    observations.DIRECTIVE: (range(1, 100), "/// seen | 1.8-lion"),
    **{name: ((0,), f"/// {name}") for name in OPENING},
}

_CONTROL = re.compile(rf"(?![\n\r\t]){CONTROL}")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[ \t]*$")
_LIFT = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n\s*\n).)+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<dollar>\\\$)"
    r"|\$\$(?P<display>.+?)\$\$"
    r"|(?<!\\)!\[(?P<alt>[^\]]*)\]\((?P<picture>[^()\s]+)\)"
    rf"|(?P<inline>{INLINE.pattern})"
    rf"|(?<![\w.])@(?:fig:(?P<fig>{FIGURE})?|sec:(?P<sec>{SECTION})?|val:(?P<val>{VALUE})?)",
    re.DOTALL,
)
_MARK = re.compile("\ue000(?P<number>\\d+)\ue001")  # a number between two characters that prose cannot contain


class Page(Protocol):
    """The parts of the page that prose refers to. Each method raises LookupError with a message for the author."""

    def figure(self, name: str, note: Markup, options: list[str]) -> Markup: ...

    def code(self, target: str, note: Markup, options: list[str]) -> Markup: ...

    def reference(self, kind: str, target: str) -> Markup: ...

    def illustration(self, path: str, alt: str) -> Markup: ...


@dataclass
class Directive:
    """One block directive, or fenced code of kind "fence", and the lines inside it."""

    kind: str
    line: int
    arguments: list[str]
    body: list[str] = field(default_factory=list)


class Prose:
    """One prose file, scanned for `model`. Problems and notices are added to `problems` with their lines.

    shown: returns the digest of the pictures that an observation names; see `observations.read`.
    """

    def __init__(self, path: Path, model: str, problems: Problems, shown: Callable[[str], str]) -> None:
        self.path = path
        self.problems = problems
        self._shown = shown
        data = path.read_bytes()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            problems.add(path, data.count(b"\n", 0, error.start) + 1, "not UTF-8; save the file again as UTF-8")
            text = ""  # nothing more to check
        for match in _CONTROL.finditer(text):
            wrong = f"the control character U+{ord(match[0]):04X} in the prose; remove it"
            problems.add(path, text.count("\n", 0, match.start()) + 1, wrong)
        self.text = _CONTROL.sub("", text).replace("\ue000", "").replace("\ue001", "")
        self.directives: list[Directive] = []
        self.observations: list[Observation] = []
        self.is_read = True  # whether all directives were understood
        self._marked: list[Directive | Markup] = []  # what the marks stand for, by their numbers
        self._lines = self._scan(model)
        for found in observations.outdated(self.observations):
            with problems.at(path, found.first):
                problems.notice(f"{found.why}; left out")

    @property
    def figures(self) -> list[tuple[int, str]]:
        """(line, figure id) of each figure that the prose places, in order."""
        return [(found.line, found.arguments[0]) for found in self.directives if found.kind == "fig"]

    def html(self, page: Page, level: int) -> Markup:
        """Renders the prose as HTML, with its top headings at `level`, 1 … 6."""
        return self._convert("\n".join(self._lines), 1, page, level)

    def problem(self, line: int | None, text: str) -> None:
        """Reports a problem. line: counted from 1; None if unknown."""
        self.problems.add(self.path, line, text)

    def _scan(self, model: str) -> list[str]:
        """Returns the lines, with each directive replaced by a mark and blank lines, so that line numbers are kept."""
        lines: list[str] = []
        opened: list[tuple[str, int, bool]] = []  # (directive, line, whether its content is shown)
        current: Directive | None = None
        fence = ""
        for number, line in enumerate(self.text.splitlines(), 1):
            if match := PLACEHOLDER.search(line):
                self.problem(number, f"placeholder {match[0]!r} in the prose; write what belongs there")
            shown = all(visible for _, _, visible in opened)
            kept = ""
            if fence:  # inside fenced code, only its end matters
                assert current
                if set(line.strip()) == {fence[0]} and len(line.strip()) >= len(fence):
                    fence, current = "", None
                else:
                    current.body.append(line)
            elif line.startswith("///"):
                words = split(line.strip("/ \t"), "|")
                if not words[0]:
                    if not opened:
                        self._misread(number, "`///` closes no directive; remove it, or open a directive above")
                    else:
                        self._close(opened.pop()[1], number)
                    current = None
                elif current:
                    self._misread(
                        number, f"`/// {words[0]}` inside `/// {current.kind}`; close that one first with `///`"
                    )
                else:
                    current, visible = self._open(number, words, model, shown)
                    if (
                        current
                        and current.kind == "fig"
                        and any(name == observations.DIRECTIVE for name, _, _ in opened)
                    ):
                        wrong = (
                            f"`/// fig` inside `/// {observations.DIRECTIVE}`; a figure stays when its pictures change"
                        )
                        self._misread(number, f"{wrong}: place it outside")
                    opened.append((words[0], number, visible))
                    if current and shown:
                        self.directives.append(current)
                        kept = self._mark(current)
            elif current:
                current.body.append(line)
            elif match := _FENCE.match(line):
                fence, current = match[1], Directive("fence", number, [match[2]])
                if shown:
                    kept = self._mark(current)
            elif shown:
                kept = line
            lines.append(kept)
        if fence and current:
            self._misread(current.line, "this fenced code is never closed")
        for name, opening, _ in opened:
            self._misread(opening, f"`/// {name}` is never closed; end it with a line `///`")
        return lines

    def _misread(self, line: int, text: str) -> None:
        """Reports a problem because of which a figure may seem to be missing."""
        self.is_read = False
        self.problem(line, text)

    def _mark(self, content: Directive | Markup) -> str:
        """Returns a mark that stands for a directive or finished HTML."""
        self._marked.append(content)
        return f"\ue000{len(self._marked) - 1}\ue001"

    def _observed(self, number: int, arguments: list[str]) -> bool:
        """Reads the opening line of an observation; returns whether it is shown."""
        try:
            found = observations.read(self.path, number, arguments, self._shown)
        except LookupError as error:
            self._misread(number, str(error.args[0]))
            return False
        self.observations.append(found)
        return found.holds

    def _close(self, first: int, last: int) -> None:
        """Completes the observation between these lines, if it is one."""
        for found in self.observations:
            if found.first == first:
                found.last, found.block = last, self.text.splitlines()[first - 1 : last]

    def _open(self, number: int, words: list[str], model: str, shown: bool) -> tuple[Directive | None, bool]:
        """Returns a directive, None for one around prose, and whether its content is shown; shown: its surroundings."""
        name, *arguments = words
        if name not in DIRECTIVES:
            self._misread(number, f"unknown directive {name!r}; the directives are: {', '.join(DIRECTIVES)}")
            return None, True
        counts, form = DIRECTIVES[name]
        misfolded = name == "code" and not all(map(FOLDED.fullmatch, arguments[1:]))
        if len(arguments) not in counts or not all(arguments) or misfolded:
            self._misread(number, f"`/// {name}` must have the form `{form}`")
            return Directive("broken", number, arguments), True
        if name == "only":
            named = arguments[0].split()
            for unknown in (each for each in named if each not in MODELS):
                self._misread(number, f"`/// only` names the unknown model {unknown!r}; known: {', '.join(MODELS)}")
            return None, model in named
        if name == observations.DIRECTIVE:
            return None, shown and self._observed(number, arguments)
        return Directive(name, number, arguments), True

    def _convert(self, text: str, first: int, page: Page, level: int) -> Markup:
        """Renders Markdown as HTML. first: the line of the file on which `text` begins."""

        def lift(match: re.Match[str]) -> str:
            line = first + text.count("\n", 0, match.start())
            if match["dollar"]:
                return "$"
            if match["display"] is not None:
                formula = self._made(line, lambda: displayed(match["display"]))
                box = '<div class="formula" role="group" aria-label="Formula" tabindex="0">{}</div>'
                return _apart(self._mark(Markup(box).format(formula)), text, match.start())
            if match["inline"]:
                return self._mark(self._made(line, lambda: mathml(match["inline"][1:-1].strip())))
            if match["picture"]:
                alt = " ".join(match["alt"].split())
                return self._mark(self._made(line, lambda: page.illustration(match["picture"], alt)))
            kind = match.lastgroup or ""
            if kind in ("fig", "sec", "val"):
                return self._mark(self._made(line, lambda: page.reference(kind, match[kind])))
            if match[0].startswith("@"):
                word = text[match.start() :].split(maxsplit=1)[0]
                self.problem(line, f"{word!r} is not a reference; the forms are at the top of report/prose/markup.py")
            return match[0]

        lifted = _LIFT.sub(lift, text)
        if "$$" in re.sub(r"`[^`]*`", "", lifted):
            self.problem(first + text[: text.rfind("$$")].count("\n"), "`$$` without its counterpart")

        def content(mark: re.Match[str]) -> Directive | Markup:
            return self._marked[int(mark["number"])]

        def apart(mark: re.Match[str]) -> str:
            return _apart(mark[0], "", 0) if isinstance(content(mark), Directive) else mark[0]

        def unwrapped(paragraph: re.Match[str]) -> str:
            """Takes the paragraph from around the mark of a directive or of a displayed formula."""
            found = content(paragraph)
            is_block = isinstance(found, Directive) or found.startswith("<div")
            return paragraph[1] if is_block else paragraph[0]

        def fill(mark: re.Match[str]) -> Markup:
            found = content(mark)
            return self._block(found, page, level) if isinstance(found, Directive) else found

        html = self._markdown(_MARK.sub(apart, lifted), level)
        for tag in re.findall("<[^>]*\ue000[^>]*>", html):
            self.problem(None, f"a formula or a reference cannot be inside a link's address or title: {tag[:60]}")

        html = re.sub(rf"<p>\s*({_MARK.pattern})\s*</p>", unwrapped, html)
        return Markup(_MARK.sub(fill, html))

    def _made(self, line: int, make: Callable[[], Markup]) -> Markup:
        """Returns what is made for a line; an error becomes its problem."""
        try:
            with self.problems.at(self.path, line):
                return make()
        except (LookupError, TexError) as error:
            self.problem(line, str(error.args[0]))
            return Markup("")

    def _block(self, found: Directive, page: Page, level: int) -> Markup:
        if found.kind in ("broken", *OPENING):
            return Markup("")  # the page itself shows an opening, at its top
        if found.kind == "fence":
            code = highlighted("\n".join(found.body), found.arguments[0])
            box = '<div class="code"><pre role="group" aria-label="Code" tabindex="0"><code>{}</code></pre></div>'
            return Markup(box).format(code)
        body = "\n".join(found.body)
        note = self._convert(body, found.line + 1, page, level + 1) if body.strip() else Markup("")
        target, *options = found.arguments
        if found.kind == "fig":
            return self._made(found.line, lambda: page.figure(target, note, options))
        return self._made(found.line, lambda: page.code(target, note, options))

    def _markdown(self, text: str, level: int) -> str:
        md = markdown(tables={"use_align_attribute": True})
        tidy = _Tidy(md, level)
        md.treeprocessors.register(tidy, "tidy", 5)
        html = md.convert(text)
        for needle, problem in tidy.found:
            line = next((n for n, row in enumerate(self.text.splitlines(), 1) if needle in row), None)
            self.problem(line, problem)
        return html


def markdown(*extensions: str, **options: dict[str, Any]) -> Markdown:
    """Returns the Markdown of prose and model cards, with further extensions and options of extensions.

    HTML in it is text.
    """
    names = ["tables", "sane_lists", "smarty", *extensions]
    md = Markdown(extensions=names, extension_configs=options, output_format="html")
    md.preprocessors.deregister("html_block")
    md.inlinePatterns.deregister("html")
    return md


class _Tidy(Treeprocessor):
    """Sets heading levels, replaces presentational attributes by classes, and rejects unsafe links and images."""

    def __init__(self, md: Markdown, level: int) -> None:
        super().__init__(md)
        self.level = level
        self.found: list[tuple[str, str]] = []

    def run(self, root: etree.Element) -> None:
        self._headings(root)
        parents = {child: parent for parent in root.iter() for child in parent}
        for element in list(root.iter()):
            if element.tag == "a" and re.match(r"(?!https?:|mailto:)[\w+.-]+:", element.get("href", "").strip()):
                self.found.append((element.get("href", ""), f"a link to {element.get('href')!r}; use https"))
            elif element.tag == "img":
                advice = "an image in the prose; write ![what it shows](inputs/scan.jpg), without a title"
                self.found.append((element.get("src", ""), advice))
            elif element.tag in ("th", "td") and element.get("align"):
                element.set("class", element.attrib.pop("align"))
            elif element.tag == "table":
                parent = parents[element]
                box = etree.Element("div", {"class": "scroll", "role": "group", "aria-label": "Table", "tabindex": "0"})
                parent[list(parent).index(element)] = box
                box.append(element)

    def _headings(self, root: etree.Element) -> None:
        headings = [element for element in root.iter() if re.fullmatch("h[1-6]", element.tag)]
        top = min((int(element.tag[1]) for element in headings), default=1)
        before = self.level - 1
        for element in headings:
            level = int(element.tag[1]) - top + self.level
            if level > before + 1 or level > 6:
                title = "".join(element.itertext())
                self.found.append((title, f"the heading {title!r} skips a level; use fewer #"))
            element.tag = f"h{min(level, 6)}"
            before = level


def _apart(mark: str, text: str, position: int) -> str:
    """Returns a mark as a separate paragraph, inside the same list item, if any."""
    start = text.rfind("\n", 0, position) + 1
    lines = [*text[:start].splitlines(), text[start:position] or mark]
    # The nearest line that is not indented decides whether this is a list.
    outer = next((line for line in reversed(lines) if line.strip() and not line[0].isspace()), "")
    indent = "    " if re.match(r"([-*+]|\d+\.)\s", outer) else ""
    return f"\n\n{indent}{mark}\n\n{indent}"
