"""1.9: hybrid images. One image, two readings: from far away and from close up."""

from functools import partial

from ..diffusion.estimates import hybrid
from ..diffusion.filters import high_pass, low_pass
from ..figures import Figure, Section, each
from ..prompts import CAMPFIRE, LION, SKULL, TIGER, WATERFALLS


def distant(lab, far, near, k, show):
    est = hybrid(lab.guided(far), lab.reading(near), low_pass, high_pass)
    x = lab.shared((far, near, k), lambda: lab.sample(est, k))
    return x if show == "near" else low_pass(x)


def enlarged(lab, far, near, k, show, pixels):
    """At 256 pixels, by the second stage, with the filter four times as wide."""
    if pixels == 64:
        return distant(lab, far, near, k, show)
    wide = {"kernel": 133, "sigma": 8.0}

    def estimate(given):
        return hybrid(
            lab.enlarging(far, given), lab.enlarging(near, given), partial(low_pass, **wide), partial(high_pass, **wide)
        )

    small = distant(lab, far, near, k, "near")
    x = lab.shared((far, near, k, 256), lambda: lab.enlarge_by(small, estimate, k))
    return x if show == "near" else low_pass(x, **wide)


def pair(name, far, near):
    return Figure(
        name,
        caption="From afar “{far}”, from near “{near}”.",
        row="{show}",
        label="sample {k}",
        alt={
            "near": "Sample {k}, from near: the prompt is “{near}”",
            "far": "Sample {k} blurred, as from afar: the prompt is “{far}”",
        },
        cases=each(far=far, near=near, show=("near", "far"), k=(0, 1, 2)),
        draw=distant,
    )


SECTION = Section(
    "1.9",
    "Hybrid images",
    [
        pair("waterfalls", SKULL, WATERFALLS),
        pair("campfire", SKULL, CAMPFIRE),
        pair("tiger", LION, TIGER),
        Figure(
            "large",
            caption="From afar “{far}”, from near “{near}”: sample {k} again, and enlarged by the second stage.",
            row="{show}",
            label="{pixels} × {pixels}",
            alt={
                "near": "At {pixels} by {pixels} pixels, from near: the prompt is “{near}”",
                "far": "At {pixels} by {pixels} pixels, blurred, as from afar: the prompt is “{far}”",
            },
            cases=each(far=SKULL, near=WATERFALLS, k=1, show=("near", "far"), pixels=(64, 256)),
            draw=enlarged,
        ),
    ],
)
