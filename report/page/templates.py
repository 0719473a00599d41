"""The templates: Jinja for one folder of them, strict about names and escaping all that is not markup already."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from markupsafe import Markup

from report.page import links


def render(root: Path, template: str, **context: Any) -> Markup:
    """A template of root/templates, filled in. Raises TemplateError."""
    try:
        return Markup(_environment((root / "templates").resolve()).get_template(template).render(context))
    except TemplateNotFound as error:  # also a LookupError, for which the prose would be blamed
        raise TemplateError(f"there is no template {error.name}") from None


@cache
def _environment(folder: Path) -> Environment:
    """Jinja for one folder of templates; it notices by itself when one of them changes."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["anchor"] = links.anchor
    return environment
