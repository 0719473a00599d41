"""An image-text scorer, which judges what pocket draws: how well does a picture answer a prompt?

A small convolutional network reads three things off a 64-pixel picture: the name of what it shows, as a vector in the
space of MiniLM's sentence vectors, compared by the cosine as in CLIP (Radford et al. 2021); the style; and the place. A
prompt is taken apart into the same three (`parse`), and its score is the sum of the log-probabilities of what it says.
What it does not say is not scored.

The scorer learns from real pictures only, never from generated ones: those that pocket learns from, and the icons of
three packages in all the styles. The icons of a fourth, `icons.HELD_OUT`, by other hands, show how far to trust it.

    python -m generators.pocket.scorer        # trains where none is kept, then says how good the scorer is
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..diffusion.filters import low_pass
from ..models import minilm
from . import data, icons, scenes, styles
from .pictures import small
from .progress import Progress

FOLDER = Path(__file__).parents[2] / ".cache" / "pocket" / "scorer"
STYLES, PLACES = [*styles.FILTERS], ["", *data.GROUNDS]
SCENES = (  # what the scenes are called
    ("a snowy mountain village",), ("people around a campfire",), ("the amalfi coast",), ("waterfalls",),
    ("a hipster barista",), ("a man wearing a hat",), ("an android dreaming of electric sheep",),
    ("Dr.Jones holding the holy grail", "a man holding the holy grail"), ("a mobius strip",),
    ("a tower", "a bell tower"), ("a city",), ("a landscape",),
)  # fmt: skip
VARIANTS = 4  # of each scene, for testing; none is among pocket's own
SEED, EPOCHS, BATCH, RATE, SMOOTHING = 42, 24, 32, 2e-3, 0.1


# ----------------------------------------------------------------------------------------------------------- prompts


class Reading(NamedTuple):
    """What a prompt says: the style word, the phrase or the two names of a pair, the place; "" or () if it does not."""

    style: str
    phrases: tuple[str, ...]
    place: str


@cache
def names() -> tuple[tuple[str, ...], ...]:
    """All names that a picture can have, each followed by its synonyms: the nouns of `data`, then the scenes."""
    said = {noun: data.SYNONYMS.get(noun.split(" ", 1)[-1], noun) for noun in data.nouns()}
    return (*(tuple(dict.fromkeys(pair)) for pair in said.items()), *SCENES)


@cache
def numbers() -> dict[str, int]:
    """The number of each name in `names`; synonyms share theirs."""
    return {phrase: number for number, phrases in enumerate(names()) for phrase in phrases}


def parse(prompt: str) -> Reading:
    """Take a prompt apart: "a photo of a cat on the grass" has the style "a photo of" and the place "on the grass"."""
    if prompt == data.HIGH_QUALITY:
        return Reading(scenes.PHOTO, (), "")
    style = next((style for style in STYLES if style and prompt.startswith(style + " ")), "")
    place = next((place for place in PLACES if place and prompt.endswith(" " + place)), "")
    phrase = prompt.removeprefix(style).removesuffix(place).strip()
    for joint in (" and ", " next to "):
        halves = tuple(phrase.split(joint))
        if len(halves) == 2 and set(halves) <= set(numbers()):
            return Reading(style, halves, place)
    return Reading(style, (phrase,) if phrase else (), place)


def _sentences(phrases: Sequence[str]) -> Tensor:
    """MiniLM's sentence vectors of unit length, (N, 384)."""
    return F.normalize(minilm.encode(list(phrases))[0][:, 0], dim=-1)


# ---------------------------------------------------------------------------------------------------------- pictures


class Pictures(NamedTuple):
    """Labelled pictures: rgb (N, 3, 64, 64) uint8; the numbers of the names, (N, 2), twice the same unless a pair; of
    the style and of the place, (N,)."""

    rgb: Tensor
    names: Tensor
    style: Tensor
    place: Tensor

    def at(self, index: Tensor) -> Pictures:
        return Pictures(*(column[index] for column in self))


def _icons() -> Iterator[tuple[str, data.Drawing]]:
    """Icons in all styles that pocket does not learn from, each with its lot: "icons" for the held-out package's."""
    pockets = {("fluent-emoji-flat", ""), *((scenes.EMOJI, style) for style in STYLES[1:])}
    for index, noun in enumerate(data.nouns()):
        for package in icons.PACKAGES:
            rng = np.random.default_rng([index, len(package)])
            for style in STYLES:
                if (package, style) not in pockets:
                    drawing = data.staged(noun, style, rng, package) if style else data.plain(noun, package)
                    yield "icons" if package == icons.HELD_OUT else "train", drawing


def _compositions() -> Iterator[tuple[str, data.Drawing]]:
    """Landscapes in all styles, and for testing other landscapes, pairs and scenes than pocket's."""
    nouns = list(data.nouns())
    for index, noun in enumerate(nouns):
        rng, style = np.random.default_rng([7, index]), STYLES[index % len(STYLES)]
        for lot in ("train", "places"):
            landscape = data.grounded(noun, rng)
            said = f"{style} {landscape.captions[0]}".strip()
            if lot == "train" or index % 2:
                yield lot, replace(landscape, style=style, captions=(said,))
        if index % 4 == 0:
            yield "pairs", data.paired(noun, nouns[rng.integers(len(nouns))])
    for scene, (_, drawn_in) in scenes.SCENES.items():
        for k in range(VARIANTS):
            body, noun = scene(np.random.default_rng([1000 + k, len(scene.__name__)]))
            for style in drawn_in:
                yield "scenes", data.Drawing(body, style, data.captions(noun, style), 1.0)


def pictures() -> dict[str, Pictures]:
    """The lots of real pictures: "train", and for testing "icons", "places", "pairs", "scenes". Kept on disk.

    Those that pocket learns from belong to "train". Needs the icon packages the first time.
    """
    rgb, captions, _ = small()
    own: tuple[Tensor, list[Sequence[str]], list[str]] = (rgb, [*captions], ["train"] * len(rgb))
    parts = [own, _kept("icons", _icons), _kept("compositions", _compositions)]
    labels = torch.tensor([_label(said) for _, captions, _ in parts for said in captions])
    every = Pictures(torch.cat([rgb for rgb, _, _ in parts]), labels[:, :2], labels[:, 2], labels[:, 3])
    lots = np.array([lot for *_, lots in parts for lot in lots])
    return {str(lot): every.at(torch.from_numpy(np.flatnonzero(lots == lot))) for lot in np.unique(lots)}


def _label(captions: Sequence[str]) -> tuple[int, int, int, int]:
    """What a picture of these captions shows: two names (the same unless a pair), the style and the place."""
    readings = [parse(caption) for caption in captions]
    found = [numbers()[phrase] for phrase in readings[0].phrases]
    style = max((reading.style for reading in readings), key=len)
    return found[0], found[-1], STYLES.index(style), PLACES.index(readings[0].place)


def _kept(
    name: str, drawings: Callable[[], Iterable[tuple[str, data.Drawing]]]
) -> tuple[Tensor, list[Sequence[str]], list[str]]:
    """The drawings at 64 pixels, uint8 (N, 3, 64, 64), their captions and lots; rendered once, then kept."""
    lots, drawn = zip(*drawings(), strict=True)
    content = hashlib.sha256("".join(drawing.style + drawing.body for drawing in drawn).encode()).hexdigest()
    kept = FOLDER / f"{name}-{content[:12]}.npz"
    if not kept.exists():
        progress, rgb = Progress(name, len(drawn)), []
        raster = lru_cache(maxsize=4)(_raster)  # for neighbours that differ in style alone
        for drawing in drawn:
            blocks = styles.FILTERS[drawing.style](raster(drawing.body)).reshape(64, 2, 64, 2, 3)
            rgb.append((blocks.mean((1, 3)) * 255).round().astype(np.uint8).transpose(2, 0, 1))
            progress.step()
        FOLDER.mkdir(parents=True, exist_ok=True)
        np.savez(kept.with_suffix(".part.npz"), rgb=np.stack(rgb))
        kept.with_suffix(".part.npz").rename(kept)
    with np.load(kept) as stored:
        return torch.from_numpy(stored["rgb"]), [drawing.captions for drawing in drawn], list(lots)


def _raster(body: str) -> np.ndarray:
    """A drawing at 128 pixels: about one grey level from the mean of 256, at a quarter of the time.

    Where an icon's own filters meet a fraction of a pixel, resvg 0.48 can panic; it does not at another size.
    """
    for factor in (1, 3):
        try:
            rgb = icons.rasterise(body, 128 * factor)
        except BaseException as error:  # a Rust panic is no Exception
            if type(error).__name__ != "PanicException" or factor == 3:
                raise
        else:
            break
    return rgb.reshape(128, factor, 128, factor, 3).mean((1, 3))


def as_images(rgb: Tensor) -> Tensor:
    """uint8 pictures as images in -1 … 1."""
    return rgb.float() / 127.5 - 1


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images (N, 3, 64, 64) shifted, scaled, mirrored left to right, tinted, some blurred, with a little noise.

    A fifth are blurred as much as what a hybrid image shows from afar: a box of 7 pixels, whose sigma is 2.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(images), *shape, generator=generator)

    zoom = torch.exp(uniform(-0.25, 0.25))
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = zoom * torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = zoom
    theta[:, :, 2] = uniform(-0.15, 0.15, 2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    x = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    near, far = (F.avg_pool2d(F.pad(x, (k // 2,) * 4, mode="replicate"), k, stride=1) for k in (3, 7))
    x = torch.lerp(x, near, uniform(-1, 1, 1, 1, 1).clamp(0, 1))
    x = torch.where(uniform(0, 1, 1, 1, 1) < 0.2, far, x)
    x = x * uniform(0.8, 1.1, 1, 1, 1) * uniform(0.92, 1.08, 3, 1, 1) + uniform(-0.1, 0.1, 1, 1, 1)
    noise = torch.randn(x.shape, generator=generator)
    return (x + uniform(0, 0.1, 1, 1, 1) * noise).clamp(-1, 1)


# ------------------------------------------------------------------------------------------------------- the network


class Seen(NamedTuple):
    """What the network makes of N images: features (N, 256), sentence (N, 384) of unit length, logits of the styles
    (N, 5) and of the places (N, 6)."""

    features: Tensor
    sentence: Tensor
    style: Tensor
    place: Tensor


class Down(nn.Module):
    """A residual block of two 3 x 3 convolutions at half the resolution (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.skip = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x))


class Scorer(nn.Module):
    """See the module. `sentences`: MiniLM's vectors of `names()`, (G, 384), less their mean and of unit length."""

    def __init__(self, count: int, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks = nn.Sequential(*(Down(width << k, width << (k + 1)) for k in range(3)))
        self.sentence = nn.Linear(8 * width, minilm.WIDTH)
        self.style = nn.Linear(8 * width, len(STYLES))
        self.place = nn.Linear(8 * width, len(PLACES))
        self.scale = nn.Parameter(torch.tensor(math.log(16.0)))  # log of CLIP's inverse temperature
        self.register_buffer("centre", torch.zeros(minilm.WIDTH))
        self.register_buffer("sentences", torch.zeros(count, minilm.WIDTH))
        self.sentences: Tensor
        self.centre: Tensor
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Seen:
        x = self.blocks(self.stem(images.contiguous(memory_format=torch.channels_last))).mean((2, 3))
        with torch.autocast(x.device.type, enabled=False):  # what is read off decides between near neighbours
            features = x.float()
            kept = F.dropout(features, 0.2, self.training)
            sentence = F.normalize(self.sentence(kept), dim=-1)
            return Seen(features, sentence, self.style(kept), self.place(kept))

    @torch.inference_mode()
    def see(self, images: Tensor) -> Seen:
        """What it makes of images, (N, 3, 64, 64) in -1 … 1. Raises ValueError where they have another shape."""
        if images.ndim != 4 or images.shape[1:] != (3, 64, 64):
            raise ValueError(f"images of shape {tuple(images.shape)}: the scorer takes (N, 3, 64, 64)")
        some = [self.eval()(part) for part in images.float().clamp(-1, 1).split(256)]
        return Seen(*(torch.cat(parts) for parts in zip(*some, strict=True)))

    @torch.inference_mode()
    def scores(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """How well each image answers each prompt, (N, P): the log-probabilities of what the prompt says, summed.

        log p(phrase) is normalised over all the names, and the phrase itself where it is none of them; of a pair it is
        the mean of both. The more negative, the worse; 0 is best.
        """
        seen = self.see(images)
        logits = self._logits(seen)
        total = logits.logsumexp(-1)
        style, place = seen.style.log_softmax(-1), seen.place.log_softmax(-1)
        columns = []
        for prompt in prompts:
            reading = parse(prompt)
            score = torch.zeros(len(images))
            for phrase in reading.phrases:
                own = self._logit(phrase, seen, logits)
                known = total if phrase in numbers() else torch.logaddexp(total, own)
                score = score + (own - known) / len(reading.phrases)
            if reading.style:
                score = score + style[:, STYLES.index(reading.style)]
            if reading.place:
                score = score + place[:, PLACES.index(reading.place)]
            columns.append(score)
        return torch.stack(columns, dim=1)

    @torch.inference_mode()
    def retrieval(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """The rank, (N,), among all names of what each image should show, given one prompt an image; 1 is best.

        A pair is ranked 1 where its two names come first and second. A phrase that is no name is ranked among the
        names and itself. Raises ValueError for a prompt that names nothing.
        """
        seen = self.see(images)
        logits = self._logits(seen)
        ranks = []
        for row, prompt in enumerate(prompts):
            phrases = parse(prompt).phrases
            if not phrases:
                raise ValueError(f"{prompt!r} names nothing that could be ranked")
            better = [int((logits[row] > self._logit(phrase, seen, logits)[row]).sum()) for phrase in phrases]
            ranks.append(max(better) + 2 - len(phrases))
        return torch.tensor(ranks)

    def _logits(self, seen: Seen) -> Tensor:
        """Of all the names, (N, G): CLIP's scaled cosines."""
        return self.scale.exp() * seen.sentence @ self.sentences.T

    def _logit(self, phrase: str, seen: Seen, logits: Tensor) -> Tensor:
        """Of one phrase, (N,): a name's own, or the scaled cosine with MiniLM's vector of any other words."""
        if (number := numbers().get(phrase)) is not None:
            return logits[:, number]
        vector = F.normalize(_sentences([phrase])[0] - self.centre, dim=-1)
        return self.scale.exp() * seen.sentence @ vector


def recall(ranks: Tensor, k: int) -> float:
    """R@k: the share of the ranks that are k or better."""
    return (ranks <= k).float().mean().item()


# --------------------------------------------------------------------------------------------------------- training


def fit(train: Pictures, epochs: int = EPOCHS, checkpoint: Path | None = None) -> Scorer:
    """A scorer that has learned from these pictures in so many passes. The seed is pinned.

    With a checkpoint, each pass is kept there, and a run that was killed goes on from the last.
    """
    phrases = [phrase for phrases in names() for phrase in phrases]
    first = torch.tensor([phrases.index(own) for own, *_ in names()])
    count = torch.tensor([len(synonyms) for synonyms in names()])
    vectors = _sentences(phrases)
    centre = vectors[first].mean(0)
    vectors = F.normalize(vectors - centre, dim=-1)
    batches = -(-len(train.rgb) // BATCH)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        scorer = Scorer(len(names())).train()
        scorer.centre.copy_(centre)
        scorer.sentences.copy_(vectors[first])
        optimizer = torch.optim.AdamW(scorer.parameters(), lr=RATE, weight_decay=0.05)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * batches, pct_start=0.2)
        done = 0
        parts: dict[str, Any] = {"scorer": scorer, "optimizer": optimizer, "rates": rates}
        if checkpoint and checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True)
            if state["config"] == _config():
                done = state["done"]
                for name, part in parts.items():
                    part.load_state_dict(state[name])
        progress = Progress("scorer", (epochs - done) * batches)
        for epoch in range(done, epochs):
            generator = torch.manual_seed(SEED + epoch)
            for index in torch.randperm(len(train.rgb), generator=generator).split(BATCH):
                batch = train.at(index)
                spoken = first + (torch.rand(len(first), generator=generator) * count).long()  # a synonym of each name
                loss = _loss(scorer, batch, augmented(as_images(batch.rgb), generator), vectors[spoken])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rates.step()
                progress.step(f"loss {loss.item():.3f}")
            if checkpoint:
                state = {name: part.state_dict() for name, part in parts.items()}
                torch.save({**state, "config": _config(), "done": epoch + 1}, checkpoint.with_suffix(".part"))
                checkpoint.with_suffix(".part").replace(checkpoint)
    return scorer.eval()


def _loss(scorer: Scorer, batch: Pictures, images: Tensor, sentences: Tensor) -> Tensor:
    """Cross entropy of the names, of the style and of the place; sentences (G, 384): what each name is called here."""
    with torch.autocast("cpu", torch.bfloat16):
        seen = scorer(images)
    target = F.one_hot(batch.names, len(sentences)).float().mean(1)
    logits = scorer.scale.exp() * seen.sentence @ sentences.T
    named = F.cross_entropy(logits, target, label_smoothing=SMOOTHING)
    styled = F.cross_entropy(seen.style, batch.style, label_smoothing=SMOOTHING)
    placed = F.cross_entropy(seen.place, batch.place, label_smoothing=SMOOTHING)
    return named + 0.3 * (styled + placed)


def train() -> Scorer:
    """Train the scorer on the real pictures and keep it. Minutes on two cores; needs the icon packages once."""
    shown = pictures()["train"]
    checkpoint = FOLDER / "checkpoint.pt"
    scorer = fit(shown, checkpoint=checkpoint)
    save_file({name: value.contiguous() for name, value in scorer.state_dict().items()}, FOLDER / "scorer.safetensors")
    (FOLDER / "config.json").write_text(_config(), encoding="utf-8")
    checkpoint.unlink()
    return scorer


def digest() -> str:
    """sha256 over the weights of the scorer that is kept."""
    return hashlib.sha256((FOLDER / "scorer.safetensors").read_bytes()).hexdigest()


def _config() -> str:
    """What a scorer that is kept was trained for and how, as JSON."""
    config = {
        "seed": SEED, "epochs": EPOCHS, "batch": BATCH, "rate": RATE, "smoothing": SMOOTHING,
        "names": names(), "styles": STYLES, "places": PLACES,
    }  # fmt: skip
    return json.dumps(config, indent=1) + "\n"


def load() -> Scorer:
    """The scorer that is kept; trained first where there is none, or one that was trained otherwise."""
    config = FOLDER / "config.json"
    if not config.exists() or config.read_text(encoding="utf-8") != _config():
        return train()
    scorer = Scorer(len(names()))
    scorer.load_state_dict(load_file(FOLDER / "scorer.safetensors"))
    return scorer.eval()


def accuracy(scorer: Scorer, pictures: Pictures, images: Tensor) -> dict[str, float]:
    """R@1 and R@5 among all the names, and the share of styles and places that are right, of the pictures' images."""
    seen = scorer.see(images)
    prompts = [" and ".join(names()[n][0] for n in dict.fromkeys(pair)) for pair in pictures.names.tolist()]
    ranks = scorer.retrieval(images, prompts)
    return {
        "n": len(ranks),
        "R@1": recall(ranks, 1),
        "R@5": recall(ranks, 5),
        "style": (seen.style.argmax(-1) == pictures.style).float().mean().item(),
        "place": (seen.place.argmax(-1) == pictures.place).float().mean().item(),
    }


def held_out(scorer: Scorer) -> dict[str, dict[str, float]]:
    """The accuracy on real pictures that the scorer has not seen: the held-out icons in each style, and the rest."""
    lots = pictures()
    tested = {
        f"icons, {style.removesuffix(' of') or 'plain'}": lots["icons"].at(lots["icons"].style == number)
        for number, style in enumerate(STYLES)
    } | {lot: lots[lot] for lot in ("scenes", "places", "pairs")}
    found = {lot: accuracy(scorer, some, as_images(some.rgb)) for lot, some in tested.items()}
    afar = torch.stack([low_pass(image) for image in as_images(lots["icons"].rgb)])
    return found | {"icons, all styles, low-passed": accuracy(scorer, lots["icons"], afar)}


def main() -> None:
    for lot, found in held_out(load()).items():
        print(f"{lot:28}", "  ".join(f"{name} {value:.3g}" for name, value in found.items()))


if __name__ == "__main__":
    main()
