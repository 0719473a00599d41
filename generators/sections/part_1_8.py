"""1.8: visual anagrams. One image, two readings: upright and upside down."""

from ..diffusion.views import FLIP, IDENTITY
from ..figures import Figure, Section, each
from ..readings import anagram, of_samples
from ..settings import MINE


def turning(lab, upright, flipped, **case):
    """One panel. At 256 pixels, the second stage's conditioning image is flipped together with the noisy image."""
    return anagram(upright=(upright, IDENTITY), flipped=(flipped, FLIP)).draw(lab, **case)


def pair(name, upright, flipped):
    return of_samples(
        name,
        turning,
        ("upright", "flipped"),
        caption="“{upright}”; turned over, “{flipped}”.",
        alt={"upright": "upright", "flipped": "turned over"},
        upright=upright,
        flipped=flipped,
    )


SECTION = Section(
    "1.8",
    "Visual anagrams",
    [
        *(pair(mine.name, mine.upright, mine.flipped) for mine in MINE.anagrams.pairs),
        Figure(
            "large",
            caption="“{upright}”; turned over, “{flipped}”: sample {k}, enlarged by the second stage.",
            row="{show}",
            label="{pixels} × {pixels}",
            alt={
                "upright": "At {pixels} by {pixels} pixels, upright: the prompt is “{upright}”",
                "flipped": "At {pixels} by {pixels} pixels, turned over: the prompt is “{flipped}”",
            },
            cases=each(
                upright=MINE.anagrams.enlarged.upright,
                flipped=MINE.anagrams.enlarged.flipped,
                k=MINE.anagrams.large.sample,
                show=("upright", "flipped"),
                pixels=(64, 256),
            ),
            draw=turning,
        ),
    ],
)
