"""1.10: beyond the assignment. Anagrams through other views."""

from ..diffusion.views import IDENTITY, NEGATIVE, TURNED
from ..figures import Section
from ..readings import anagram, of_samples

TOP_HAT, PENGUIN = "a top hat", "a penguin"
DOG, KOALA = "a photo of a dog", "a photo of a koala"


def anagrams(name, view, upright, **through):
    """The figure of an anagram. through: how the second row is called, with its prompt."""
    ((word, _),) = through.items()

    def seen(lab, k, show, **prompts):
        return anagram(upright=(prompts["upright"], IDENTITY), **{word: (prompts[word], view)}).draw(lab, show, k)

    return of_samples(
        name,
        seen,
        ("upright", word),
        caption=f"“{{upright}}”; {word}, “{{{word}}}”.",
        alt={"upright": "as drawn", word: word},
        upright=upright,
        **through,
    )


SECTION = Section(
    "1.10",
    "Beyond the assignment",
    [
        anagrams("rotation", TURNED, TOP_HAT, turned=PENGUIN),
        anagrams("negative", NEGATIVE, DOG, inverted=KOALA),
    ],
)
