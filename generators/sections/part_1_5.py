"""1.5: sampling from pure noise, without guidance."""

from ..figures import Figure, Section, each
from ..prompts import PHOTO


def unguided(lab, prompt, k):
    return lab.sample(lab.estimate(prompt), k)


SECTION = Section(
    "1.5",
    "Diffusion model sampling",
    [
        Figure(
            "samples",
            caption="Five samples of “{prompt}”, without guidance.",
            label="sample {k}",
            alt="Unguided sample {k} of the prompt “{prompt}”",
            cases=each(prompt=PHOTO, k=(0, 1, 2, 3, 4)),
            draw=unguided,
        )
    ],
)
