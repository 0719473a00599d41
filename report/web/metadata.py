"""Metadata in image files: how an image was made, and the IPTC digital source type. Pixels do not change.

WebP, AVIF, JPEG and PNG carry an XMP packet; PNG also has the text chunk "parameters", which image viewers show.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.sax.saxutils import escape

from PIL.PngImagePlugin import PngInfo

from generators.records.record import Figure, Panel, Record
from report.prose.values import compact

CODES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED, COMPOSITE = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" \
xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{description}</rdf:li></rdf:Alt></dc:description>{source}
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
_SOURCE = "\n<Iptc4xmpExt:DigitalSourceType>{}</Iptc4xmpExt:DigitalSourceType>"


def source_type(panels: Sequence[Panel]) -> str:
    """Returns the IPTC code of an image of these panels; "" if no model took part, as in a noised drawing."""
    origins = {panel.origin for panel in panels}
    if origins == {"sample"}:
        return TRAINED
    return COMPOSITE if origins & {"sample", "edit"} else ""


def parameters(record: Record, figure: Figure, panels: Sequence[Panel]) -> str:
    """Returns how the panels were made, as one line of JSON; values that differ between them become lists."""

    def distinct(values: Sequence[object]) -> object:
        found = list(dict.fromkeys(values))
        return found[0] if len(found) == 1 else found or None

    summary = {
        "figure": figure.id,
        "model": record.model,
        "weights": record.digest,
        "prompts": list(dict.fromkeys(prompt for panel in panels for prompt in panel.prompts)),
        "seeds": list(dict.fromkeys(seed for panel in panels for seed in panel.seeds)),
        "gamma": distinct([gamma for panel in panels for gamma in panel.gamma]),
        "timesteps": distinct([compact(panel.timesteps) for panel in panels]),
        "origin": distinct([panel.origin for panel in panels]),
    }
    return json.dumps(summary, ensure_ascii=False)


def xmp(record: Record, figure: Figure, panels: Sequence[Panel]) -> bytes:
    """Returns the XMP packet of an image of these panels."""
    code = source_type(panels)
    source = _SOURCE.format(CODES + code) if code else ""
    return _XMP.format(description=escape(parameters(record, figure, panels)), source=source).encode()


def png(record: Record, figure: Figure) -> PngInfo:
    """Returns the text chunks of a figure's PNG."""
    info = PngInfo()
    info.add_itxt("parameters", parameters(record, figure, figure.panels))
    info.add_itxt("XML:com.adobe.xmp", xmp(record, figure, figure.panels).decode())
    return info
