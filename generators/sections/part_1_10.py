"""1.10: beyond the assignment. Other views, and other parts of an image."""

from ..diffusion import filters
from ..diffusion.estimates import anagram, factorised
from ..diffusion.sampling import gaussian, iterative_denoise, keep_part, last
from ..diffusion.schedule import strided
from ..diffusion.views import IDENTITY, named
from ..figures import Figure, Section, each
from ..prompts import DOG, LION, SKULL, TIGER, WATERFALLS

PENGUIN, TULIP = "a penguin", "a tulip"
COAST, ROSE = "a photo of the amalfi coast", "an oil painting of a rose"
KOALA = "a photo of a koala"
STRAWBERRY, BEAR = "a strawberry", "a photo of a bear"


def seen(lab, view, upright, k, show, **through):
    (other,) = through.values()
    est = anagram((lab.reading(upright), IDENTITY), (lab.reading(other), named(view)))
    x = lab.shared((view, upright, other, k), lambda: lab.sample(est, k))
    return x if show == "upright" else named(view)(x)


def anagrams(name, view, k, upright, **through):
    """The figure of an anagram. through: how the second row is called, with its prompt."""
    ((word, _),) = through.items()
    return Figure(
        name,
        caption=f"“{{upright}}”; {word}, “{{{word}}}”.",
        row="{show}",
        label="sample {k}",
        alt={
            "upright": "Sample {k}, as drawn: the prompt is “{upright}”",
            word: f"Sample {{k}}, {word}: the prompt is “{{{word}}}”",
        },
        cases=each(view=view, upright=upright, **through, show=("upright", word), k=k),
        draw=seen,
    )


def three(lab, far, middle, near, k, show):
    bands = filters.three_bands()
    est = factorised([lab.part(prompt) for prompt in (far, middle, near)], bands)
    x = lab.shared(("three", far, middle, near, k), lambda: lab.sample(est, k))
    low, mid, _ = (band(x) for band in bands)
    return {"near": x, "middle": low + mid, "far": low}[show]


def coloured(lab, colour, grey, k, show):
    est = factorised([lab.part(grey), lab.part(colour)], [filters.grey, filters.colour])
    x = lab.shared(("colour", colour, grey, k), lambda: lab.sample(est, k))
    return x if show == "colour" else filters.grey(x)


def moved(lab, still, moving, k, show):
    est = factorised([lab.guided(moving), lab.reading(still)], [filters.motion_blur, filters.motion_rest])
    x = lab.shared(("motion", still, moving, k), lambda: lab.sample(est, k))
    return x if show == "still" else filters.motion_blur(x)


def over(lab, image, near, k):
    """An inverse hybrid: the low frequencies remain the image's, all others follow the prompt."""
    x0, generator = lab.image(image), lab.generator(k)
    x = gaussian(generator, x0)
    project = keep_part(lab.schedule, x0, filters.low_pass, generator)
    return last(iterative_denoise(lab.schedule, lab.part(near), x, strided(), generator, project))


def inverse(lab, image, near, k, show):
    if show == "original":
        return lab.image(image)
    x = lab.shared((image, near, k), lambda: over(lab, image, near, k))
    return x if show == "near" else filters.low_pass(x)


SECTION = Section(
    "1.10",
    "Beyond the assignment",
    [
        anagrams("rotation", "rotate180", (0, 1, 2), PENGUIN, turned=TULIP),
        anagrams("jigsaw", "jigsaw", (0, 1, 2), COAST, rearranged=ROSE),
        anagrams("negative", "negative", (0, 1, 2), DOG, inverted=KOALA),
        Figure(
            "three",
            caption="From afar “{far}”, from half way “{middle}”, from near “{near}”.",
            row="{show}",
            label="sample {k}",
            alt={
                "near": "Sample {k}, from near: the prompt is “{near}”",
                "middle": "Sample {k} without its high frequencies, as from half way: the prompt is “{middle}”",
                "far": "The low frequencies of sample {k}, as from afar: the prompt is “{far}”",
            },
            cases=each(far=DOG, middle=LION, near=TIGER, show=("near", "middle", "far"), k=(0, 1, 2)),
            draw=three,
        ),
        Figure(
            "colour",
            caption="In colour “{colour}”, in grey “{grey}”.",
            row="in {show}",
            label="sample {k}",
            alt={
                "colour": "Sample {k} in colour: the prompt is “{colour}”",
                "grey": "Sample {k} in grey: the prompt is “{grey}”",
            },
            cases=each(colour=STRAWBERRY, grey=BEAR, show=("colour", "grey"), k=(0, 1, 2)),
            draw=coloured,
        ),
        Figure(
            "motion",
            caption="At rest “{still}”, in motion “{moving}”.",
            row="{show}",
            label="sample {k}",
            alt={
                "still": "Sample {k} at rest: the prompt is “{still}”",
                "moving": "Sample {k}, blurred along the diagonal: the prompt is “{moving}”",
            },
            cases=each(still=WATERFALLS, moving=SKULL, show=("still", "moving"), k=(0, 1, 2)),
            draw=moved,
        ),
        Figure(
            "inverse",
            caption="From afar the {image}, from near “{near}”.",
            row="sample {k}",
            label="{show}",
            alt={
                "near": "Sample {k} from near: the prompt is “{near}”",
                "far": "Sample {k} blurred, as from afar: the {image}",
                "original": "The {image}, whose low frequencies remain",
            },
            cases=each(image="fox", near=TIGER, k=(0, 1), show=("near", "far", "original")),
            draw=inverse,
        ),
    ],
)
