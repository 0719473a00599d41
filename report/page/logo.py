"""The report's logo: one of its own pictures as a disc, in the headers, as the site's icon and on the social card.

`/// logo` in report/writeup/intro.md names the picture; opening.py reads it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from report.page.opening import Exhibit
from report.web.images import Form, Picture, Store, as_png, pixelated

PAPER = "#fbfbf9"  # the page's background
ICON, TOUCH_ICON = 32, 180  # pixels a side: of a browser's tab, and of a phone's home screen
MARGIN = 12  # pixels around the disc on a home screen
HEADER = 176  # pixels: twice the largest size in a header
SMOOTH = 8  # samples per pixel and axis at the edge of a disc


@dataclass(frozen=True)
class Logo:
    """The exhibit that is the logo, and the files made from it; their names contain the digest of its pixels."""

    exhibit: Exhibit

    @property
    def icon(self) -> str:
        """The path of the icon in the site: 32 × 32 pixels, transparent outside the disc."""
        return f"{_stem(self.exhibit.picture)}-{ICON}.png"

    @property
    def touch_icon(self) -> str:
        """The path of the icon for home screens: 180 × 180 pixels, opaque, because iOS shows transparency as black."""
        return f"{_stem(self.exhibit.picture)}-{TOUCH_ICON}.png"

    @property
    def faces(self) -> list[Picture]:
        """The header's pictures. A flip, a rotation and a distance are CSS transforms of one; other views need two."""
        picture, turned, control = self.exhibit.picture, self.exhibit.turned, self.exhibit.control
        return [picture, turned] if turned and control and control.kind in ("invert", "rearrange") else [picture]

    def reduced(self, face: Picture) -> Form | None:
        """Returns the file for the header; None if the picture is shown as it is."""
        return None if pixelated(face.panel) else Form(f"{_stem(face)}.avif", HEADER, "avif")

    def place(self, store: Store) -> None:
        """Puts the logo's files into the new site. Raises PanelError."""
        for face in self.faces:
            if form := self.reduced(face):
                face.place_reduced(store, form)
        picture = self.exhibit.picture
        store.place(self.icon, lambda: as_png(disc(picture.open(), ICON), optimize=True))
        store.place(self.touch_icon, lambda: as_png(_on_paper(picture.open()), optimize=True))


def disc(image: Image.Image, side: int) -> Image.Image:
    """Returns the disc inscribed in a square image, as RGBA of `side` × `side` pixels, transparent outside."""
    if image.width < side:  # first by a whole factor, so that a sample's pixels keep their edges
        whole = math.ceil(side / image.width) * image.width
        image = image.resize((whole, whole), Image.Resampling.NEAREST)
    found = image.resize((side, side), Image.Resampling.LANCZOS).convert("RGBA")
    edge = Image.new("L", (SMOOTH * side, SMOOTH * side))
    ImageDraw.Draw(edge).ellipse((0, 0, edge.width - 1, edge.height - 1), fill=255)
    found.putalpha(edge.resize((side, side), Image.Resampling.BOX))
    return Image.alpha_composite(Image.new("RGBA", found.size), found)  # one value outside, which compresses


def _on_paper(image: Image.Image) -> Image.Image:
    """Returns the icon for home screens, in 256 colours."""
    icon = Image.new("RGB", (TOUCH_ICON, TOUCH_ICON), PAPER)
    found = disc(image, TOUCH_ICON - 2 * MARGIN)
    icon.paste(found, (MARGIN, MARGIN), found)
    return icon.quantize(256, dither=Image.Dither.NONE)


def _stem(picture: Picture) -> str:
    return f"figures/logo-{picture.panel.pixels[:12]}"
