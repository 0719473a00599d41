"""The picture that other sites show with a link to the page: its title and logo above the opening's exhibits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from report.page.logo import PAPER, disc
from report.page.opening import Exhibit
from report.prose.mathml import plain
from report.web.images import as_png, digest, pixelated

LAYOUT = 3  # increase it when the drawing below changes: cards are cached by digest
SIZE = (1200, 630)
MARGIN, GAP, TOP, ROOM = 60, 24, 208, 344  # pixels; ROOM: side of a picture
LOGO_TOP, LOGO = 46, 96  # pixels: from the capitals of the line above the title to the title's base line
INK, MUTED = "#191b1f", "#595d64"
FONT = Path(__file__).parents[2] / "templates" / "static" / "stix-two-text-regular.woff2"


@dataclass(frozen=True)
class Card:
    """The card's content and its path in the site; the name contains a digest of the content.

    exhibits: one to three.
    """

    title: str
    course: str
    exhibits: Sequence[Exhibit]
    logo: Exhibit | None

    @property
    def path(self) -> str:
        pixels = [each.picture.panel.pixels for each in (*self.exhibits, self.logo) if each]
        shows = [LAYOUT, self.title, self.course, self._model, pixels]
        return f"figures/card-{digest(shows)}.png"

    @property
    def alt(self) -> str:
        shown = "; ".join(plain(each.picture.panel.alt) for each in self.exhibits)
        return f"The title above {len(self.exhibits)} pictures: {shown}"

    @property
    def _model(self) -> str:
        return self.exhibits[0].picture.record.model

    def compose(self) -> bytes:
        """Returns the card as PNG, with samples at integer multiples of their pixels. Raises PanelError."""
        card = Image.new("RGB", SIZE, PAPER)
        draw = ImageDraw.Draw(card)
        draw.text((MARGIN, 44), self.course, MUTED, _font(28))
        draw.text((MARGIN - 4, 84), self.title, INK, _font(72))
        if self.logo:
            logo = disc(self.logo.picture.open(), LOGO)
            card.paste(logo, (SIZE[0] - MARGIN - LOGO, LOGO_TOP), logo)
        for index, each in enumerate(self.exhibits):
            image = each.picture.open()
            if pixelated(each.picture.panel):
                size, resampling = ROOM // image.width * image.width, Image.Resampling.NEAREST
            else:
                size, resampling = ROOM, Image.Resampling.LANCZOS
            card.paste(image.resize((size, size), resampling), (MARGIN + index * (ROOM + GAP), TOP + ROOM - size))
        draw.text((MARGIN, TOP + ROOM + 18), f"Every sample drawn by {self._model}, from records", INK, _font(32))
        return as_png(card, optimize=True)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, size)
