"""1.9: hybrid images. One image, two readings: from far away and from close up."""

from ..figures import Figure, Section, each
from ..prompts import CAMPFIRE, LION, SKULL, TIGER, WATERFALLS
from ..readings import DISTANCE, hybrid, of_samples


def distant(lab, far, near, **case):
    """One panel. At 256 pixels the filters are four times as wide."""
    return hybrid(DISTANCE, far, near).draw(lab, **case)


def pair(name, far, near):
    return of_samples(
        name,
        distant,
        ("near", "far"),
        caption="From afar “{far}”, from near “{near}”.",
        alt={"near": "from near", "far": "blurred, as from afar"},
        far=far,
        near=near,
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
            draw=distant,
        ),
    ],
)
