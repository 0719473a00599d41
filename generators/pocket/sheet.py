"""A sheet of samples for the model card: the course's prompts, things that pocket knows, and what it never met.

python -m generators.pocket.sheet        # writes generators/pocket/sheet.webp
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from .. import models
from ..diffusion import strands
from ..lab import Lab

PROMPTS = (
    "an oil painting of a snowy mountain village", "an oil painting of people around a campfire",
    "an oil painting of an old man", "a photo of the amalfi coast", "a photo of a man", "a photo of a hipster barista",
    "a photo of a dog", "a lithograph of waterfalls", "a lithograph of a skull", "a man wearing a hat",
    "a high quality photo", "a rocket ship", "a pencil", "an android dreaming of electric sheep",
    "Dr.Jones holding the holy grail", "a mobius strip",
    "a cat", "an elephant", "a pizza", "a rainbow", "a castle", "a penguin", "a strawberry", "a train",
    "a photo of a lion", "a photo of a city", "an oil painting of a tower", "a lithograph of a car",
    "a snowman in the desert", "an oil painting of a robot", "a lithograph of a pineapple", "a sad clown",
)  # fmt: skip
COLUMNS, CELL, LABEL = 4, 64, 26


def main() -> None:
    lab = Lab(models.load("pocket"))
    seeds = (0, 1)
    with torch.inference_mode():
        drawn = strands.run([partial(lab.sample, lab.guided(prompt), k) for prompt in PROMPTS for k in seeds])
    width = CELL * len(seeds) + 12
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(PROMPTS) // COLUMNS) * (CELL + LABEL)), "white")
    write = ImageDraw.Draw(sheet)
    for index, strand in enumerate(drawn):
        prompt, k = divmod(index, len(seeds))
        x, y = prompt % COLUMNS * width, prompt // COLUMNS * (CELL + LABEL)
        pixels = ((strand.result.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        sheet.paste(Image.fromarray(np.ascontiguousarray(pixels)), (x + k * CELL, y))
        if k == 0:
            words = PROMPTS[prompt].split()
            half = len(words) // 2 + 1 if len(PROMPTS[prompt]) > 22 else len(words)
            write.text((x + 1, y + CELL), " ".join(words[:half]) + "\n" + " ".join(words[half:]), "black", font_size=9)
    sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST).save(
        Path(__file__).parent / "sheet.webp", lossless=True
    )


if __name__ == "__main__":
    main()
