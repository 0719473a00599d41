"""1.4: iterative denoising from t = 690 in 24 steps, compared with one-step and classical denoising."""

from ..diffusion.filters import best_blur
from ..diffusion.metrics import fidelity
from ..diffusion.sampling import sdedit
from ..diffusion.schedule import strided
from ..figures import Figure, Panel, Section, each
from ..prompts import PHOTO
from ..settings import MINE

I_START = 10
T_START = strided()[I_START]
IMAGE = "campanile"


def trajectory(lab):
    """x_t for every t of the trajectory, by t; None is the clean end."""
    x0 = lab.image(IMAGE)
    timesteps = strided(i_start=I_START)
    return lab.shared(
        "trajectory", lambda: dict(sdedit(lab.schedule, lab.estimate(PHOTO), timesteps, lab.generator(), x0))
    )


def intermediate(lab, image, t, show):
    return trajectory(lab)[t]


def result(lab, image, t, show):
    x0 = lab.image(image)
    x_t = lab.schedule.forward(x0, t, lab.noise())
    x = {
        "original": lambda: x0,
        "noisy": lambda: x_t,
        "iteratively denoised": lambda: trajectory(lab)[None],
        "one step": lambda: lab.schedule.one_step(x_t, t, lab.estimate(PHOTO)(x_t, t)),
        "best blur": lambda: best_blur(x_t, x0)[0],
    }[show]()
    return x if show == "original" else Panel(x, fidelity(x, x0))


SECTION = Section(
    "1.4",
    "Iterative denoising",
    [
        Figure(
            "trajectory",
            caption="The walk from t = 690 down to the clean image, step by step.",
            label="{show}",
            alt={
                "clean": "The end of the walk: what the model made of the noised {image}",
                "*": "The noised {image} on its way to a clean image, {show}",
            },
            cases=[
                {"image": IMAGE, "t": t, "show": "clean" if t is None else f"t = {t}"}
                for t in (*strided(i_start=I_START), None)
            ],
            draw=intermediate,
            called={"image": MINE.called},
        ),
        Figure(
            "results",
            caption="The original, the image at t = {t} from which all three methods start, and their results.",
            label="{show}",
            alt={
                "original": "The {image} without noise",
                "noisy": "The {image} noised to t = {t}",
                "*": "The {image} noised to t = {t}, then {show}",
            },
            cases=each(
                image=IMAGE,
                t=T_START,
                show=("original", "noisy", "iteratively denoised", "one step", "best blur"),
            ),
            draw=result,
            called={"image": MINE.called},
            finds=("psnr", "ssim"),
        ),
    ],
)
