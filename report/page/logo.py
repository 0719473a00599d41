"""The report's logo: one of its own pictures as a disc, in the headers, as the site's icon and on the social card.

`/// logo` in report/writeup/intro.md names the picture; opening.py reads it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageDraw

from generators.records.record import Panel
from report.figures import figure_view
from report.page.opening import Exhibit
from report.web.images import Form, Store, as_png, open_panel, pixelated, place_reduced

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
        return f"{_stem(self.exhibit.panel)}-{ICON}.png"

    @property
    def touch_icon(self) -> str:
        """The path of the icon for home screens: 180 × 180 pixels, opaque, because iOS shows transparency as black."""
        return f"{_stem(self.exhibit.panel)}-{TOUCH_ICON}.png"

    @property
    def faces(self) -> list[figure_view.PanelView]:
        """The header's pictures: the first, and the second if the stylesheet cannot turn the first into it."""
        return [
            figure_view.panel_view(self.exhibit.figure, panel)
            if pixelated(panel)
            else figure_view.reduced_view(self.exhibit.figure, panel, _form(panel))
            for panel in self._panels
        ]

    @property
    def _panels(self) -> list[Panel]:
        """The panels of the faces. A flip, a rotation and a distance are CSS transforms of one picture."""
        panel, other, control = self.exhibit.panel, self.exhibit.other, self.exhibit.control
        return [panel, other] if other and control and control.kind in ("invert", "rearrange") else [panel]

    def place(self, store: Store) -> None:
        """Puts the logo's files into the new site. Raises PanelError."""
        shown = self.exhibit
        for panel in self._panels:
            if not pixelated(panel):  # those are shown as they are
                place_reduced(store, shown.record, shown.figure, panel, _form(panel))

        def make(draw: Callable[[Image.Image], Image.Image]) -> bytes:
            image = open_panel(shown.record, shown.figure, shown.panel, store.published)
            return as_png(draw(image), optimize=True)

        store.place(self.icon, lambda: make(lambda image: disc(image, ICON)))
        store.place(self.touch_icon, lambda: make(_on_paper))


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


def _form(panel: Panel) -> Form:
    return Form(f"{_stem(panel)}.avif", HEADER, "avif")


def _stem(panel: Panel) -> str:
    return f"figures/logo-{panel.pixels[:12]}"
