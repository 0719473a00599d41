"""How often a judge is right about drawings that it has not seen.

python -m generators.making.judging.accuracy gradients # prints a table
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor

from ...diffusion.filters import low_pass
from ...models import ModelError
from ..training.pool import as_images
from . import shipped
from .judge import Judge
from .labelled import LabelledPictures, test_sets, vocabulary
from .vocabulary import Vocabulary


def retrieval_ranks(logits: Tensor, prompts: Sequence[str], vocabulary: Vocabulary) -> Tensor:
    """Returns the rank, (N,), of each image's prompt among all names; 1 is best.

    logits: of the names, (N, G); prompts: one per image. A pair has rank 1 if its two names come first and second.
    Raises ValueError for a prompt without a name or with an unknown one.
    """
    ranks = []
    for row, prompt in zip(logits, prompts, strict=True):
        names = vocabulary.parse(prompt).names
        if not names:
            raise ValueError(f"{prompt!r} has no name to rank")
        better = [int((row > row[vocabulary.number(name)]).sum()) for name in names]
        ranks.append(max(better) + 2 - len(names))
    return torch.tensor(ranks)


def recall(ranks: Tensor, k: int) -> float:
    """R@k: the share of ranks up to k."""
    return (ranks <= k).float().mean().item()


def accuracy(judge: Judge, pictures: LabelledPictures, images: Tensor) -> dict[str, float]:
    """Returns R@1 and R@5 among all names, and the shares of right styles and places, of the pictures' images."""
    output, names = judge.predict(images), judge.vocabulary.names
    prompts = [" and ".join(names[n][0] for n in dict.fromkeys(pair)) for pair in pictures.names.tolist()]
    ranks = retrieval_ranks(output.names, prompts, judge.vocabulary)
    return {
        "n": len(ranks),
        "R@1": recall(ranks, 1),
        "R@5": recall(ranks, 5),
        "style": (output.style.argmax(-1) == pictures.style).float().mean().item(),
        "place": (output.place.argmax(-1) == pictures.place).float().mean().item(),
    }


def held_out(judge: Judge, sets: dict[str, LabelledPictures]) -> dict[str, dict[str, float]]:
    """Returns the accuracy on `labelled.test_sets`, with the icons split by style, and low-passed.

    Raises ModelError if the judge was trained on drawings of other names, styles or places.
    """
    if judge.vocabulary != vocabulary():
        raise ModelError("the drawings have other names, styles or places than the judge knows; train it anew")
    tested = {
        f"icons, {style.removesuffix(' of') or 'plain'}": sets["icons"].at(sets["icons"].style == number)
        for number, style in enumerate(judge.vocabulary.styles)
    } | {name: pictures for name, pictures in sets.items() if name != "icons"}
    found = {name: accuracy(judge, pictures, as_images(pictures.rgb)) for name, pictures in tested.items()}
    afar = torch.stack([low_pass(image) for image in as_images(sets["icons"].rgb)])
    return found | {"icons, all styles, low-passed": accuracy(judge, sets["icons"], afar)}


def print_table(name: str) -> None:
    """Prints the accuracy of the shipped judge of that name."""
    for tested, found in held_out(shipped.load(name), test_sets()).items():
        print(f"{tested:30}", "  ".join(f"{key} {value:.3g}" for key, value in found.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description="Test a judge on drawings that it has not seen.")
    parser.add_argument("judge", choices=shipped.NETWORKS)
    try:
        print_table(parser.parse_args().judge)
    except ModelError as error:
        raise SystemExit(f"accuracy: {error}") from None


if __name__ == "__main__":
    main()
