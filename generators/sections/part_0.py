"""Part 0: three prompts through all stages of the cascade, with two numbers of steps."""

from ..diffusion.schedule import T
from ..figures import Figure, Section, each

PROMPTS = ("an android dreaming of electric sheep", "Dr.Jones holding the holy grail", "a mobius strip")


def stage(lab, prompt, steps, pixels):
    """The sample of a prompt at 64, 256 or 1024 pixels."""
    if pixels == 64:
        return lab.shared((prompt, steps, 64), lambda: lab.sample(lab.guided(prompt), stride=T // steps))
    smaller = stage(lab, prompt, steps, pixels // 4)
    return lab.shared((prompt, steps, pixels), lambda: lab.enlarge(smaller, prompt))


SECTION = Section(
    "0",
    "Three prompts, three stages",
    [
        Figure(
            "stages",
            caption="Each prompt, sampled in 50 and in 100 steps, as it leaves the three stages of the cascade.",
            row="“{prompt}”, {steps} steps",
            label="{pixels} × {pixels}",
            alt="A sample of the prompt “{prompt}” after {steps} steps, at {pixels} by {pixels} pixels",
            cases=each(prompt=PROMPTS, steps=(50, 100), pixels=(64, 256, 1024)),
            draw=stage,
        )
    ],
)
