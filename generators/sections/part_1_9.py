"""1.9: hybrid images. One image, two readings: from far away and from close up."""

from ..figures import Figure, Section, each
from ..readings import DISTANCE, hybrid, of_samples
from ..settings import MINE


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
        *(pair(mine.name, mine.far, mine.near) for mine in MINE.hybrids.pairs),
        Figure(
            "large",
            caption="From afar “{far}”, from near “{near}”: sample {k}, enlarged by the second stage.",
            row="{show}",
            label="{pixels} × {pixels}",
            alt={
                "near": "At {pixels} by {pixels} pixels, from near: the prompt is “{near}”",
                "far": "At {pixels} by {pixels} pixels, blurred, as from afar: the prompt is “{far}”",
            },
            cases=each(
                far=MINE.hybrids.enlarged.far,
                near=MINE.hybrids.enlarged.near,
                k=MINE.hybrids.large.sample,
                show=("near", "far"),
                pixels=(64, 256),
            ),
            draw=distant,
        ),
    ],
)
