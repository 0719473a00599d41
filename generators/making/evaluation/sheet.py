"""Draws the model card's sheet of a hundred samples, one per prompt with the report's seed, without selection.

python -m generators.making.evaluation.sheet # writes generators/models/pocket/sheet.webp
"""

from functools import partial

import torch
from PIL import Image, ImageDraw
from tqdm import tqdm

from ... import models
from ...diffusion import batching
from ...lab import Lab
from ...running.drawing import pixels_of

GROUPS = {  # ten prompts per row
    "The course's prompts, and Part 0's": (
        "an oil painting of a snowy mountain village", "an oil painting of people around a campfire",
        "an oil painting of an old man", "a photo of the amalfi coast", "a photo of a man",
        "a photo of a hipster barista", "a photo of a dog", "a lithograph of waterfalls", "a lithograph of a skull",
        "a man wearing a hat",
        "a high quality photo", "a rocket ship", "a pencil", "an android dreaming of electric sheep",
        "Dr.Jones holding the holy grail", "a mobius strip", "a lithograph of the amalfi coast",
        "an oil painting of waterfalls", "a photo of people around a campfire", "an oil painting of a dog",
    ),
    "Names": (
        "a cat", "an elephant", "a pizza", "a mushroom", "a castle", "a penguin", "a strawberry", "a cactus",
        "a sunflower", "a guitar",
        "a panda", "a bicycle", "a koala", "a fox", "an umbrella", "a church", "a whale", "a snowman", "an octopus",
        "a rose",
        "a lion", "a banana", "a sailboat", "a balloon", "a butterfly", "a pagoda", "an airplane", "a crown",
        "a turtle", "a hamburger",
    ),
    "Names in a style": (
        "a photo of a lion", "a photo of a trophy", "a photo of a tower", "a photo of a city", "a photo of a robot",
        "an oil painting of a fox", "an oil painting of a tower", "an oil painting of a rose",
        "an oil painting of a sailboat", "an oil painting of a horse",
        "a lithograph of an automobile", "a lithograph of a zebra", "a lithograph of a whale",
        "a lithograph of a castle", "a lithograph of a pineapple", "a pencil sketch of a cat",
        "a pencil sketch of a bicycle", "a pencil sketch of an old man", "a pencil sketch of a palm tree",
        "a pencil sketch of a tropical fish",
    ),
    "Combinations that no training picture shows": (
        "a lithograph of a penguin in the desert", "a lithograph of a lion in the snow",
        "a pencil sketch of a robot by the sea", "a pencil sketch of a castle at night",
        "a lithograph of a snowman on the grass", "a photo of a cat and a rocket", "a lithograph of a star and a key",
        "an oil painting of a robot and a rose", "a photo of a skull next to a crown",
        "a lithograph of an elephant next to a bicycle",
    ),
    "Other words for things that it knows": (
        "a kitten", "a puppy", "a car", "a pumpkin", "a bike", "a plane", "a burger", "a golden cup", "a temple",
        "an elderly man",
    ),
    "Free prompts": (
        "a sad clown", "a blue bird", "a red car", "a king", "a ship in a storm", "a forest", "a sunset over the sea",
        "a bowl of fruit", "a chess board", "the meaning of life",
    ),
}  # fmt: skip
COLUMNS, CELL, LABEL, HEADING, GAP = 10, 128, 34, 34, 8  # pixels; a sample of 64 is shown at twice its size


def lines(prompt: str, width: int = 22) -> str:
    """Wraps the prompt to lines of at most `width` letters."""
    rows = [""]
    for word in prompt.split():
        if rows[-1] and len(rows[-1]) + 1 + len(word) > width:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return "\n".join(rows)


def sheet(groups: dict[str, list[Image.Image]], prompts: dict[str, tuple[str, ...]]) -> Image.Image:
    """Composes the pictures of each group under its heading, each above its prompt."""
    rows = {heading: -(-len(pictures) // COLUMNS) for heading, pictures in groups.items()}
    width = COLUMNS * (CELL + GAP) + GAP
    height = sum(HEADING + count * (CELL + LABEL + GAP) for count in rows.values()) + GAP
    page = Image.new("RGB", (width, height), "white")
    write, top = ImageDraw.Draw(page), 0
    for heading, pictures in groups.items():
        write.text((GAP, top + HEADING - 8), heading, "black", font_size=18, anchor="ls")
        top += HEADING
        for index, (picture, prompt) in enumerate(zip(pictures, prompts[heading], strict=True)):
            row, column = divmod(index, COLUMNS)
            x, y = GAP + column * (CELL + GAP), top + row * (CELL + LABEL + GAP)
            page.paste(picture.resize((CELL, CELL), Image.Resampling.BICUBIC), (x, y))
            write.multiline_text((x, y + CELL + 2), lines(prompt), "#333333", font_size=11, spacing=1)
        top += rows[heading] * (CELL + LABEL + GAP)
    return page


def draw(lab: Lab) -> dict[str, list[Image.Image]]:
    """Draws sample 0 of every prompt, guided as in the report."""
    prompts = [prompt for group in GROUPS.values() for prompt in group]
    with tqdm(desc="samples", total=len(prompts) * 68) as progress, torch.inference_mode():
        lab.model.meter.on_evaluated = progress.update
        drawn = batching.run([partial(lab.sample, lab.guided(prompt)) for prompt in prompts])
    pictures = iter(Image.fromarray(pixels_of(sample.result).numpy()) for sample in drawn)
    return {heading: [next(pictures) for _ in group] for heading, group in GROUPS.items()}


def main() -> None:
    page = sheet(draw(Lab(models.load("pocket"))), GROUPS)
    page.save(models.SHIPPED.with_name("sheet.webp"), quality=82, method=6)


if __name__ == "__main__":
    main()
