"""1.8: visual anagrams. One image, two readings: upright and upside down."""

from ..diffusion.estimates import anagram
from ..diffusion.views import FLIP, IDENTITY
from ..figures import Figure, Section, each
from ..prompts import BARISTA, CAMPFIRE, DOG, LION, OLD_MAN


def turning(lab, upright, flipped, k, show):
    est = anagram((lab.reading(upright), IDENTITY), (lab.reading(flipped), FLIP))
    x = lab.shared((upright, flipped, k), lambda: lab.sample(est, k))
    return x if show == "upright" else FLIP(x)


def enlarged(lab, upright, flipped, k, show, pixels):
    """At 256 pixels, by the second stage; its conditioning image is flipped together with the noisy image."""
    if pixels == 64:
        return turning(lab, upright, flipped, k, show)

    def estimate(given):
        return anagram((lab.enlarging(upright, given), IDENTITY), (lab.enlarging(flipped, FLIP(given)), FLIP))

    small = turning(lab, upright, flipped, k, "upright")
    x = lab.shared((upright, flipped, k, 256), lambda: lab.enlarge_by(small, estimate, k))
    return x if show == "upright" else FLIP(x)


def pair(name, upright, flipped):
    return Figure(
        name,
        caption="“{upright}”; turned over, “{flipped}”.",
        row="{show}",
        label="sample {k}",
        alt={
            "upright": "Sample {k}, upright: the prompt is “{upright}”",
            "flipped": "Sample {k}, turned over: the prompt is “{flipped}”",
        },
        cases=each(upright=upright, flipped=flipped, show=("upright", "flipped"), k=(0, 1, 2)),
        draw=turning,
    )


SECTION = Section(
    "1.8",
    "Visual anagrams",
    [
        pair("campfire", OLD_MAN, CAMPFIRE),
        pair("barista", BARISTA, DOG),
        pair("lion", DOG, LION),
        Figure(
            "large",
            caption="“{upright}”; turned over, “{flipped}”: sample {k} again, and enlarged by the second stage.",
            row="{show}",
            label="{pixels} × {pixels}",
            alt={
                "upright": "At {pixels} by {pixels} pixels, upright: the prompt is “{upright}”",
                "flipped": "At {pixels} by {pixels} pixels, turned over: the prompt is “{flipped}”",
            },
            cases=each(upright=DOG, flipped=LION, k=0, show=("upright", "flipped"), pixels=(64, 256)),
            draw=enlarged,
        ),
    ],
)
