"""1.2: classical denoising. The best Gaussian blur for each noise level."""

from ..diffusion.filters import best_blur, kernel_for
from ..diffusion.metrics import fidelity
from ..figures import Figure, Panel, Section, each


def blur(lab, t, show):
    x0 = lab.image("campanile")
    x_t = lab.schedule.forward(x0, t, lab.noise())
    if show == "noisy":
        return Panel(x_t, fidelity(x_t, x0))
    image, sigma = best_blur(x_t, x0)
    return Panel(image, {**fidelity(image, x0), "sigma": sigma, "kernel": kernel_for(sigma)})


SECTION = Section(
    "1.2",
    "Classical denoising",
    [
        Figure(
            "blur",
            caption="Above, the noisy Campanile; below, its Gaussian blur closest to the original.",
            row="{show}",
            label="t = {t}",
            alt={
                "noisy": "The Campanile noised to t = {t}",
                "best blur": "The Campanile noised to t = {t} and then blurred, sigma = {sigma} pixels",
            },
            cases=each(show=("noisy", "best blur"), t=(250, 500, 750)),
            draw=blur,
            finds=("psnr", "ssim", "sigma", "kernel"),
        )
    ],
)
