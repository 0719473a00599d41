"""SDEdit strips, as 1.7, 1.7.1 and 1.7.3 draw them: one image at six levels of noise, then the original."""

from .figures import strip

LEVELS = (1, 3, 5, 7, 10, 20)  # i_start: an index into the 34 timesteps; the larger, the less noise


def strips(pairs):
    """The cases of several strips, one a pair of prompt and image."""
    return [case for pair in pairs for case in strip("i_start", LEVELS, **pair)]


def edit(lab, prompt, image, i_start, show):
    """One panel: the image, noised to the timestep of index i_start and led back by the prompt."""
    x0 = lab.image(image)
    return x0 if i_start is None else lab.sdedit(lab.guided(prompt), x0, i_start)
