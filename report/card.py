"""The picture that other sites show with a link to the page: its title above the trajectory of section 1.4."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from report.records import Figure, Panel, Record
from report.views import trajectory
from report.web_images import open_panel

LAYOUT = 1  # raise it when the drawing below changes: cards are found again by digest
SIZE = (1200, 630)
PAPER, INK, MUTED, GOLD = "#fbfbf9", "#191b1f", "#595d64", "#8b7b4a"
FONT = Path(__file__).parents[1] / "templates" / "static" / "stix-two-text-regular.woff2"


@dataclass(frozen=True)
class Card:
    """What the card shows, and where it lies in the site; the name holds a digest of what it shows."""

    title: str
    record: Record
    figure: Figure
    panels: Sequence[Panel]

    @property
    def path(self) -> str:
        shows = [LAYOUT, self.title, self.record.description, [panel.pixels for panel in self.panels]]
        return f"figures/card-{hashlib.sha256(json.dumps(shows).encode()).hexdigest()[:12]}.png"

    def compose(self, site: Path) -> bytes:
        """The card as PNG, the samples at whole multiples of their pixels. Raises PanelError."""
        card = Image.new("RGB", SIZE, PAPER)
        draw = ImageDraw.Draw(card)
        scale = min(3, 1080 // (64 * len(self.panels)))
        left = (SIZE[0] - 64 * scale * len(self.panels)) // 2
        draw.text((left, 66), "Berkeley CS180 · Project 5A", MUTED, _font(30))
        draw.text((left - 4, 112), self.title, INK, _font(72))
        for index, panel in enumerate(self.panels):
            image = open_panel(self.record, self.figure, panel, site)
            large = image.resize((64 * scale, 64 * scale), Image.Resampling.NEAREST)
            card.paste(large, (left + index * large.width, 262))
        below = 262 + 64 * scale
        draw.line((left, below + 34, SIZE[0] - left, below + 34), GOLD, 4)
        draw.text((left, below + 58), f"Every sample drawn by {self.record.model}, from records", INK, _font(34))
        data = io.BytesIO()
        card.save(data, "PNG", optimize=True)
        return data.getvalue()


def card_of(title: str, records: list[Record]) -> Card | None:
    """The card, or None where section 1.4 has no trajectory to show."""
    found = trajectory(records)
    return Card(title, *found) if found else None


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, size)
