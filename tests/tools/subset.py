"""Makes stix-two-math.woff2, rule.png and icon.png, which are committed; the build does not run this. See
templates/static/README.md.

python tests/tools/subset.py PATH/STIXTwoMath-Regular.ttf
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parents[2] / "templates" / "static"

LATIN = set(range(0x20, 0x7F)) | set(map(ord, "\u00a0¬±·×÷°´¯¨–—…"))
GREEK = set(range(0x391, 0x3CA)) | set(map(ord, "ϑϕϖϰϱϵ"))
# The root sign, accents and primes, which a naive subset drops together with every bar.
MARKS = set(map(ord, "√¯ˆ˜˙‾′″‴‵†∗∘·⋅")) | {0x302, 0x303, 0x304, 0x305, 0x307, 0x20D7, 0x338, 0x2009}
OPERATORS = set(map(ord, "∂∇∆∏∑−∓∝∞∥∣∧∨∩∪∫∼≃≅≈≔≠≡≤≥≪≫∈∉∋⊂⊆⊕⊖⊗⊙⊥⋆⋮⋯⋱⌈⌉⌊⌋⟨⟩‖∀∃∅→←↔↦⇒⇔⟶⟵⟹"))
# Mathematical italic, bold and script letters have their own code points; ℎ fills a gap in the italic ones.
LETTERS = set(range(0x1D400, 0x1D468)) | set(range(0x1D49C, 0x1D4B6)) | set(map(ord, "ℎℓℬℰℱℋℐℒℳℛ𝔼ℝ𝟙"))
GREEK_STYLED = set(range(0x1D6A8, 0x1D71C))
DIGITS_BOLD = set(range(0x1D7CE, 0x1D7D8))


def subset_math(source: Path, target: Path = STATIC / "stix-two-math.woff2") -> None:
    """Writes the subset of STIX Two Math that the page's formulas need. Requires fonttools and brotli.

    The `ssty` feature gives each letter two script-size variants and doubles the file; only the primes need them.
    """
    from fontTools import subset

    options = subset.Options(flavor="woff2", layout_features=["ssty", "dtls", "flac"], hinting=False)
    font = subset.load_font(str(source), options)
    names = font.getBestCmap()
    primes = {names[code] for code in (0x2032, 0x2033, 0x2034, 0x2035)}
    table = font["GSUB"].table
    for record in table.FeatureList.FeatureRecord:
        if record.FeatureTag == "ssty":
            for index in record.Feature.LookupListIndex:
                for sub in table.LookupList.Lookup[index].SubTable:
                    sub = getattr(sub, "ExtSubTable", sub)
                    for field in ("mapping", "alternates"):
                        kept = {k: v for k, v in getattr(sub, field, {}).items() if k in primes}
                        if hasattr(sub, field):
                            setattr(sub, field, kept)
    _narrow_roots(font)
    wanted = LATIN | GREEK | MARKS | OPERATORS | LETTERS | GREEK_STYLED | DIGITS_BOLD
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=wanted)
    subsetter.subset(font)
    subset.save_font(font, str(target), options)


def _narrow_roots(font: Any) -> None:
    """Makes the tall root signs as wide as the small one.

    Chromium reserves the width of the widest root sign behind every root, half an em of empty space.
    """
    code = font.getBestCmap()[ord("√")]
    variants = font["MATH"].table.MathVariants
    root = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(code)]
    width, _ = font["hmtx"][code]
    tall = [variant.VariantGlyph for variant in root.MathGlyphVariantRecord[1:]]
    for name in dict.fromkeys(tall + [part.glyph for part in root.GlyphAssembly.PartRecords]):
        glyph = font["glyf"][name]
        advance, _ = font["hmtx"][name]
        glyph.coordinates.scale((width / advance, 1))
        glyph.coordinates.toInt()
        glyph.recalcBounds(font["glyf"])
        font["hmtx"][name] = (width, glyph.xMin)


def draw_rule(target: Path = STATIC / "rule.png", seed: int = 42) -> None:
    """Writes the page's ornament: 240 x 3 pixels of noise that turn, left to right, into a solid line."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, 240)
    # The outer rows fade out with the noise; the middle row fills in.
    solid = np.stack([0.5 * (1 - x) ** 1.5, 0.45 + 0.55 * np.minimum(1, x * 1.15), 0.5 * (1 - x) ** 1.5])
    ink = rng.random((3, 240)) < solid
    picture = np.zeros((3, 240, 4), np.uint8)
    picture[..., :3] = (139, 123, 74)
    picture[..., 3] = np.where(ink, 255, 0)
    Image.fromarray(picture).save(target, optimize=True)


def draw_icon(target: Path = STATIC / "icon.png", seed: int = 42) -> None:
    """Writes the icon of sites without a logo: a disc emerging from noise, 32 x 32."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:16, 0:16] - 7.5
    disc = (x**2 + y**2 < 42).astype(float)
    known = np.clip((x + 7.5) / 13, 0, 1)
    ink = rng.random((16, 16)) < known * disc + (1 - known) * 0.5
    grey = np.where(ink, 40, 235).astype(np.uint8)
    Image.fromarray(grey).resize((32, 32), Image.Resampling.NEAREST).save(target, optimize=True)


if __name__ == "__main__":
    subset_math(Path(sys.argv[1]))
    draw_rule()
    draw_icon()
