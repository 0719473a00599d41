"""Jinja for one folder of templates: undefined names are errors, and everything except markup is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from markupsafe import Markup

from report.figures import figure_view
from report.page import links
from report.prose.mathml import plain, rich
from report.prose.values import duration, shown, title
from report.web.images import pixelated


def render(root: Path, template: str, **context: Any) -> Markup:
    """Renders a template of root/templates. Raises TemplateError."""
    try:
        return Markup(_environment((root / "templates").resolve()).get_template(template).render(context))
    except TemplateNotFound as error:  # also a LookupError, which would be blamed on the prose
        raise TemplateError(f"there is no template {error.name}") from None


@cache
def _environment(folder: Path) -> Environment:
    """Returns Jinja for one folder; it reloads changed templates by itself."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        anchor=links.anchor, rich=rich, plain=plain, layout=figure_view.layout, scale=figure_view.scale, shown=shown,
        title_of=title, line_numbers=figure_view.line_numbers, duration=duration,
    )  # fmt: skip
    environment.tests.update(pixelated=pixelated, repeated=figure_view.repeats)
    return environment
