"""1.9: hybrid images. One image, two readings: from afar and from near."""

from .diffusion.estimates import hybrid
from .diffusion.filters import high_pass, low_pass
from .figures import Figure, Section, each
from .prompts import CAMPFIRE, SKULL, WATERFALLS, ZEBRA


def distant(lab, far, near, k, show):
    est = hybrid(lab.guided(far), lab.guided(near), low_pass, high_pass)
    x = lab.once((far, near, k), lambda: lab.sample(est, k))
    return x if show == "near" else low_pass(x)


def pair(name, far, near):
    return Figure(
        name,
        caption="From afar “{far}”, from near “{near}”.",
        row="{show}",
        label="sample {k}",
        alt="Hybrid {k} of “{far}” and “{near}”, from {show}",
        cases=each(far=far, near=near, show=("near", "afar"), k=(0, 1, 2)),
        draw=distant,
    )


SECTION = Section(
    "1.9",
    "Hybrid images",
    [pair("waterfalls", SKULL, WATERFALLS), pair("campfire", SKULL, CAMPFIRE), pair("zebra", SKULL, ZEBRA)],
)
