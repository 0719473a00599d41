"""The picture that other sites show with a link to the page: its title above what the page opens with."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from report.page.opening import Exhibit
from report.web.images import open_panel

LAYOUT = 2  # raise it when the drawing below changes: cards are found again by digest
SIZE = (1200, 630)
MARGIN, GAP, TOP, ROOM = 60, 24, 208, 344  # pixels; ROOM: of a picture, a side
PAPER, INK, MUTED = "#fbfbf9", "#191b1f", "#595d64"
FONT = Path(__file__).parents[2] / "templates" / "static" / "stix-two-text-regular.woff2"


@dataclass(frozen=True)
class Card:
    """What the card shows, and where it lies in the site; the name holds a digest of what it shows."""

    title: str
    exhibits: Sequence[Exhibit]

    @property
    def path(self) -> str:
        shows = [LAYOUT, self.title, self.exhibits[0].record.model, [each.panel.pixels for each in self.exhibits]]
        return f"figures/card-{hashlib.sha256(json.dumps(shows).encode()).hexdigest()[:12]}.png"

    @property
    def alt(self) -> str:
        return f"The title above {len(self.exhibits)} pictures: " + "; ".join(
            each.picture.alt for each in self.exhibits
        )

    def compose(self, site: Path) -> bytes:
        """The card as PNG; samples at whole multiples of their pixels. Raises PanelError."""
        card = Image.new("RGB", SIZE, PAPER)
        draw = ImageDraw.Draw(card)
        draw.text((MARGIN, 44), "Berkeley CS180 · Project 5A", MUTED, _font(28))
        draw.text((MARGIN - 4, 84), self.title, INK, _font(72))
        for index, each in enumerate(self.exhibits):
            image = open_panel(each.record, each.figure, each.panel, site)
            if image.width <= 64:
                size, how = ROOM // image.width * image.width, Image.Resampling.NEAREST
            else:
                size, how = ROOM, Image.Resampling.LANCZOS
            card.paste(image.resize((size, size), how), (MARGIN + index * (ROOM + GAP), TOP + ROOM - size))
        summary = f"Every sample drawn by {self.exhibits[0].record.model}, from records"
        draw.text((MARGIN, TOP + ROOM + 18), summary, INK, _font(32))
        data = io.BytesIO()
        card.save(data, "PNG", optimize=True)
        return data.getvalue()


def card_of(title: str, exhibits: Sequence[Exhibit]) -> Card | None:
    """The card, or None where the page opens with nothing; the first three exhibits fit."""
    return Card(title, exhibits[:3]) if exhibits else None


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, size)
