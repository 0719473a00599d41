"""1.6: classifier-free guidance."""

from ..figures import Figure, Section, each
from ..prompts import PHOTO


def guided(lab, prompt, gamma, k):
    return lab.sample(lab.guided(prompt, gamma), k)


SECTION = Section(
    "1.6",
    "Classifier-free guidance",
    [
        Figure(
            "samples",
            caption="Five samples of “{prompt}” with guidance, γ = {gamma}, from the same noise as without.",
            label="sample {k}",
            alt="Sample {k} of the prompt “{prompt}”, guided with gamma {gamma}",
            cases=each(prompt=PHOTO, gamma=7, k=(0, 1, 2, 3, 4)),
            draw=guided,
        )
    ],
)
