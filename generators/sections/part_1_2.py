"""1.2: classical denoising. The best Gaussian blur for each noise level."""

from ..diffusion.filters import best_blur, kernel_for
from ..diffusion.metrics import fidelity
from ..figures import Figure, Panel, Section, each
from ..settings import MINE


def blur(lab, image, t, show):
    x0 = lab.image(image)
    x_t = lab.schedule.forward(x0, t, lab.noise())
    if show == "noisy":
        return Panel(x_t, fidelity(x_t, x0))
    x, sigma = best_blur(x_t, x0)
    return Panel(x, {**fidelity(x, x0), "sigma": sigma, "kernel": kernel_for(sigma)})


SECTION = Section(
    "1.2",
    "Classical denoising",
    [
        Figure(
            "blur",
            caption="Above, the noisy {image}; below, its Gaussian blur closest to the original.",
            row="{show}",
            label="t = {t}",
            alt={
                "noisy": "The {image} noised to t = {t}",
                "best blur": "The {image} noised to t = {t} and then blurred, sigma = {sigma} pixels",
            },
            cases=each(image="campanile", show=("noisy", "best blur"), t=(250, 500, 750)),
            draw=blur,
            called={"image": MINE.called},
            finds=("psnr", "ssim", "sigma", "kernel"),
        )
    ],
)
