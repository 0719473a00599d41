"""Machine-readable metadata: schema.org JSON-LD in the page, and the site's RO-Crate file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from markupsafe import Markup

from generators.records.record import Record
from report.figures import figure_png
from report.page.citation import Citation
from report.prose.mathml import plain
from report.web.metadata import COMPOSITE, TRAINED, source_type

CRATE = "ro-crate-metadata.json"
_TYPES = {  # of the site's files by suffix; the table of Python's mimetypes differs from system to system
    **{f".{suffix}": f"image/{suffix}" for suffix in ("avif", "png", "webp")},
    **{".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".txt": "text/plain"},
    **{".jpg": "image/jpeg", ".json": "application/json", ".svg": "image/svg+xml", ".woff2": "font/woff2"},
}
_CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_SOURCES = {
    TRAINED: "https://schema.org/TrainedAlgorithmicMediaDigitalSource",
    COMPOSITE: "https://schema.org/CompositeWithTrainedAlgorithmicMediaDigitalSource",
}


def page(title: str, citation: Citation, records: Sequence[Record]) -> Markup:
    """Returns the page and its figures as schema.org JSON-LD, escaped for a data block.

    Raises TexError on bad TeX in a caption.
    """
    images = []
    for record in records:
        for figure in record.figures:
            image = {"@type": "ImageObject", "contentUrl": figure_png.path(figure), "caption": plain(figure.caption)}
            if code := source_type(figure.panels):
                image["digitalSourceType"] = _SOURCES[code]
                image["creditText"] = f"{record.model}, {record.description}"
            images.append(image)
    content = {"@context": "https://schema.org", "@type": "Report", "name": title, **_common(citation), "image": images}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    # Escape "<": "</script" would end the script element.
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def crate(site: Path, title: str, citation: Citation, records: Sequence[Record]) -> str:
    """Returns the RO-Crate 1.1 metadata of the files in the folder `site`, as sorted text."""
    files = sorted(path for path in site.rglob("*") if path.is_file() and path.name != CRATE)
    parts = [_part(path.relative_to(site).as_posix(), path.read_bytes()) for path in files]
    common = _common(citation)
    authors = [{"@id": f"#author-{number}", **author} for number, author in enumerate(common["author"], 1)]
    graph: list[dict[str, Any]] = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            **common,
            "name": title,
            "description": f"Figures of the sections {', '.join(record.id for record in records)}, how each was made, "
            "and the page that shows them.",
            "author": [{"@id": author["@id"]} for author in authors],
            "license": {"@id": common["license"]},
            "hasPart": [{"@id": part["@id"]} for part in parts],
        },
        {"@id": common["license"], "@type": "CreativeWork", "name": citation.license},
        *authors,
        *parts,
    ]
    return json.dumps({"@context": _CONTEXT, "@graph": graph}, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _part(name: str, data: bytes) -> dict[str, Any]:
    return {
        "@id": name,
        "@type": "File",
        "name": name.rpartition("/")[2],
        "contentSize": str(len(data)),
        "encodingFormat": _TYPES.get(PurePosixPath(name).suffix, "application/octet-stream"),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _common(citation: Citation) -> dict[str, Any]:
    found = {
        "author": [{"@type": kind, "name": name} for kind, name in citation.authors],
        "datePublished": citation.published.isoformat(),
        "license": f"https://spdx.org/licenses/{citation.license}",
        "version": citation.version,
    }
    return {**found, "url": citation.url} if citation.url else found
