"""1.1: the forward process. The Campanile at three noise levels."""

from ..figures import Figure, Section, strip


def noisy(lab, t, show):
    x0 = lab.image("campanile")
    return x0 if t is None else lab.schedule.forward(x0, t, lab.noise())


SECTION = Section(
    "1.1",
    "Implementing the forward process",
    [
        Figure(
            "noisy",
            caption="The Campanile at increasing noise levels, and without noise.",
            label="{show}",
            alt={"original": "The Campanile without noise", "*": "The Campanile under noise, {show}"},
            cases=strip("t", (250, 500, 750)),
            draw=noisy,
        )
    ],
)
