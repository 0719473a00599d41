"""1.3: one-step denoising. The network's estimate of the clean image, in a single evaluation."""

from ..diffusion.metrics import fidelity
from ..figures import Figure, Panel, Section, each
from ..prompts import PHOTO


def one_step(lab, t, show):
    x0 = lab.image("campanile")
    if show == "original":
        return x0
    x_t = lab.schedule.forward(x0, t, lab.noise())
    if show == "noisy":
        return Panel(x_t, fidelity(x_t, x0))
    noise = lab.estimate(PHOTO)(x_t, t)
    image = lab.schedule.one_step(x_t, t, noise)
    return Panel(image, fidelity(image, x0))


SECTION = Section(
    "1.3",
    "One-step denoising",
    [
        Figure(
            "one-step",
            caption="The noised Campanile, and the network’s one-step estimate of the clean image.",
            row="{show}",
            label="t = {t}",
            alt={
                "original": "The Campanile without noise",
                "noisy": "The Campanile noised to t = {t}",
                "one-step estimate": "The network’s estimate, in one step, of the Campanile noised to t = {t}",
            },
            cases=each(show=("original", "noisy", "one-step estimate"), t=(250, 500, 750)),
            draw=one_step,
            finds=("psnr", "ssim"),
        )
    ],
)
