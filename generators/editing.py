"""SDEdit strips for 1.7, 1.7.1 and 1.7.3: an image at six noise levels, then the original."""

from .figures import strip

LEVELS = (1, 3, 5, 7, 10, 20)  # i_start: an index into the 34 timesteps; a larger one means less noise


def strips(pairs):
    """Returns the cases of one strip for each pair of prompt and image."""
    return [case for pair in pairs for case in strip("i_start", LEVELS, **pair)]


def edit(lab, prompt, image, i_start, show):
    """Draws one panel: the image noised to the timestep of index i_start and denoised under the prompt."""
    x0 = lab.image(image)
    return x0 if i_start is None else lab.sdedit(lab.guided(prompt), x0, i_start)
