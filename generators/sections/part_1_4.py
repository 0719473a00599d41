"""1.4: iterative denoising from t = 690 in 24 steps, compared with one-step and classical denoising."""

from ..diffusion.filters import best_blur
from ..diffusion.metrics import fidelity
from ..diffusion.sampling import sdedit
from ..diffusion.schedule import strided
from ..figures import Figure, Panel, Section, each
from ..prompts import PHOTO

I_START = 10
T_START = strided()[I_START]


def trajectory(lab):
    """x_t for every t of the trajectory, by t; None is the clean end."""
    x0 = lab.image("campanile")
    timesteps = strided(i_start=I_START)
    return lab.shared(
        "trajectory", lambda: dict(sdedit(lab.schedule, lab.estimate(PHOTO), timesteps, lab.generator(), x0))
    )


def intermediate(lab, t, show):
    return trajectory(lab)[t]


def result(lab, t, show):
    x0 = lab.image("campanile")
    x_t = lab.schedule.forward(x0, t, lab.noise())
    image = {
        "original": lambda: x0,
        "noisy": lambda: x_t,
        "iteratively denoised": lambda: trajectory(lab)[None],
        "one step": lambda: lab.schedule.one_step(x_t, t, lab.estimate(PHOTO)(x_t, t)),
        "best blur": lambda: best_blur(x_t, x0)[0],
    }[show]()
    return image if show == "original" else Panel(image, fidelity(image, x0))


SECTION = Section(
    "1.4",
    "Iterative denoising",
    [
        Figure(
            "trajectory",
            caption="The walk from t = 690 down to the clean image, step by step.",
            label="{show}",
            alt={
                "clean": "The end of the walk: what the model made of the noised Campanile",
                "*": "The noised Campanile on its way to a clean image, {show}",
            },
            cases=[{"t": t, "show": "clean" if t is None else f"t = {t}"} for t in (*strided(i_start=I_START), None)],
            draw=intermediate,
        ),
        Figure(
            "results",
            caption="The original, the image at t = {t} from which all three methods start, and their results.",
            label="{show}",
            alt={
                "original": "The Campanile without noise",
                "noisy": "The Campanile noised to t = {t}",
                "*": "The Campanile noised to t = {t}, then {show}",
            },
            cases=each(t=T_START, show=("original", "noisy", "iteratively denoised", "one step", "best blur")),
            draw=result,
            finds=("psnr", "ssim"),
        ),
    ],
)
