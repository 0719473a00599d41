"""1.3: one-step denoising. The network's estimate of the clean image, in a single evaluation."""

from ..diffusion.metrics import fidelity
from ..figures import Figure, Panel, Section, each
from ..prompts import PHOTO
from ..settings import MINE


def one_step(lab, image, t, show):
    x0 = lab.image(image)
    if show == "original":
        return x0
    x_t = lab.schedule.forward(x0, t, lab.noise())
    if show == "noisy":
        return Panel(x_t, fidelity(x_t, x0))
    noise = lab.estimate(PHOTO)(x_t, t)
    x = lab.schedule.one_step(x_t, t, noise)
    return Panel(x, fidelity(x, x0))


SECTION = Section(
    "1.3",
    "One-step denoising",
    [
        Figure(
            "one-step",
            caption="The noised {image}, and the network’s one-step estimate of the clean image.",
            row="{show}",
            label="t = {t}",
            alt={
                "original": "The {image} without noise",
                "noisy": "The {image} noised to t = {t}",
                "one-step estimate": "The network’s estimate, in one step, of the {image} noised to t = {t}",
            },
            cases=each(image="campanile", show=("original", "noisy", "one-step estimate"), t=(250, 500, 750)),
            draw=one_step,
            called={"image": MINE.called},
            finds=("psnr", "ssim"),
        )
    ],
)
