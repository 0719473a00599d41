"""Part 0: prompts of one's own through all stages of the cascade, with several numbers of steps."""

from ..diffusion.schedule import spaced
from ..figures import Figure, Section, each
from ..settings import MINE


def stage(lab, prompt, steps, pixels):
    """The sample of a prompt at 64, 256 or 1024 pixels."""
    if pixels == 64:
        return lab.shared((prompt, steps, 64), lambda: lab.sample(lab.guided(prompt), timesteps=spaced(steps)))
    smaller = stage(lab, prompt, steps, pixels // 4)
    return lab.shared((prompt, steps, pixels), lambda: lab.enlarge(smaller, prompt))


SECTION = Section(
    "0",
    "Prompts through three stages",
    [
        Figure(
            "stages",
            caption="Each prompt, sampled in "
            + " and in ".join(map(str, MINE.stages.steps))
            + " steps, as it leaves the three stages of the cascade.",
            row="“{prompt}”, {steps} steps",
            label="{pixels} × {pixels}",
            alt="A sample of the prompt “{prompt}” after {steps} steps, at {pixels} by {pixels} pixels",
            cases=each(prompt=MINE.stages.prompts, steps=MINE.stages.steps, pixels=(64, 256, 1024)),
            draw=stage,
        )
    ],
)
