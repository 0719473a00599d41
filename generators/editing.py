"""Edits of an image: SDEdit strips, for 1.7, 1.7.1 and 1.7.3, and inpainting, for 1.7.2."""

from .diffusion.metrics import border_step
from .diffusion.sampling import resampled
from .diffusion.schedule import strided
from .figures import Panel, strip

LEVELS = (1, 3, 5, 7, 10, 20)  # i_start: an index into the 34 timesteps; a larger one means less noise
JUMP, TIMES = 10, 8  # of RePaint: how many timesteps a jump goes back, and how often each stretch is walked
INPAINTING = ("original", "mask", "to be filled", "inpainted", "resampled")  # what is shown of an inpainting


def strips(pairs):
    """Returns the cases of one strip for each pair of prompt and image."""
    return [case for pair in pairs for case in strip("i_start", LEVELS, **pair)]


def edit(lab, prompt, image, i_start, show):
    """Draws one panel: the image noised to the timestep of index i_start and denoised under the prompt."""
    x0 = lab.image(image)
    return x0 if i_start is None else lab.sdedit(lab.guided(prompt), x0, i_start)


def inpainted(lab, prompt, x0, mask):
    return lab.inpaint(lab.guided(prompt), x0, mask)


def repainted(lab, prompt, x0, mask):
    return lab.inpaint(lab.guided(prompt), x0, mask, resampled(strided(), JUMP, TIMES))


def inpaint(lab, prompt, image, show, mask=None):
    """Draws one panel of an inpainting. mask: a file; None for the hole of report/report.toml."""
    x0, m = lab.image(image), lab.hole(mask or image)
    if fill := {"inpainted": inpainted, "resampled": repainted}.get(show):
        x = fill(lab, prompt, x0, m)
        step, own = (border_step(picture.clamp(-1, 1), m) for picture in (x, x0))
        return Panel(x, {"ratio": step / own} if own else {})  # a flat original, such as white paper, has no step
    return {"original": x0, "mask": (2 * m - 1).expand_as(x0), "to be filled": m * x0 + (1 - m)}[show]
