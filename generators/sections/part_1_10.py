"""1.10: beyond the assignment. Other views, and other parts of an image."""

from ..diffusion.filters import low_pass
from ..diffusion.sampling import gaussian, iterative_denoise, keep_part, last
from ..diffusion.schedule import strided
from ..diffusion.views import IDENTITY, JIGSAW, NEGATIVE, TURNED
from ..figures import Figure, Section, each
from ..lab import Scale
from ..prompts import DOG, LION, SKULL, TIGER, WATERFALLS
from ..readings import BANDS, COLOUR, MOTION, anagram, hybrid

PENGUIN, TULIP = "a penguin", "a tulip"
COAST, ROSE = "a photo of the amalfi coast", "an oil painting of a rose"
KOALA = "a photo of a koala"
STRAWBERRY, BEAR = "a strawberry", "a photo of a bear"


def anagrams(name, view, upright, **through):
    """The figure of an anagram. through: how the second row is called, with its prompt."""
    ((word, _),) = through.items()

    def seen(lab, k, show, **prompts):
        return anagram(upright=(prompts["upright"], IDENTITY), **{word: (prompts[word], view)}).draw(lab, show, k)

    return Figure(
        name,
        caption=f"“{{upright}}”; {word}, “{{{word}}}”.",
        row="{show}",
        label="sample {k}",
        alt={
            "upright": "Sample {k}, as drawn: the prompt is “{upright}”",
            word: f"Sample {{k}}, {word}: the prompt is “{{{word}}}”",
        },
        cases=each(upright=upright, **through, show=("upright", word), k=(0, 1, 2)),
        draw=seen,
    )


def three(lab, far, middle, near, **case):
    return hybrid(BANDS, far, middle, near).draw(lab, **case)


def coloured(lab, colour, grey, **case):
    return hybrid(COLOUR, grey, colour).draw(lab, **case)


def moved(lab, still, moving, **case):
    return hybrid(MOTION, moving, still).draw(lab, **case)


def detailed(lab, image, near, k):
    """An inverse hybrid: the low frequencies remain the image's, all others follow the prompt."""
    x0, generator = lab.image(image), lab.generator(k)
    x = gaussian(generator, x0)
    project = keep_part(lab.schedule, x0, low_pass, generator)
    guided = lab.guided(near, Scale.BALANCED)
    return last(iterative_denoise(lab.schedule, guided, x, strided(), generator, project))


def inverse(lab, image, near, k, show):
    if show == "original":
        return lab.image(image)
    x = lab.shared((image, near, k), lambda: detailed(lab, image, near, k))
    return x if show == "near" else low_pass(x)


SECTION = Section(
    "1.10",
    "Beyond the assignment",
    [
        anagrams("rotation", TURNED, PENGUIN, turned=TULIP),
        anagrams("jigsaw", JIGSAW, COAST, rearranged=ROSE),
        anagrams("negative", NEGATIVE, DOG, inverted=KOALA),
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
