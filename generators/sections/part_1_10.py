"""1.10: beyond the assignment. Other views, and other parts of an image."""

from ..diffusion.filters import low_pass
from ..diffusion.sampling import gaussian, iterative_denoise, keep_part, last
from ..diffusion.schedule import strided
from ..diffusion.views import IDENTITY, JIGSAW, NEGATIVE, TURNED
from ..figures import Figure, Section, each
from ..lab import Scale
from ..readings import BANDS, COLOUR, MOTION, anagram, hybrid, of_samples
from ..settings import MINE

DOG, LION, TIGER = "a photo of a dog", "a photo of a lion", "a photo of a tiger"
SKULL, WATERFALLS = "a lithograph of a skull", "a lithograph of waterfalls"
PENGUIN, TULIP = "a penguin", "a tulip"
COAST, ROSE = "a photo of the amalfi coast", "an oil painting of a rose"
KOALA = "a photo of a koala"
STRAWBERRY, BEAR = "a strawberry", "a photo of a bear"


def anagrams(name, view, upright, **through):
    """The figure of an anagram. through: how the second row is called, with its prompt."""
    ((word, _),) = through.items()

    def seen(lab, k, show, **prompts):
        return anagram(upright=(prompts["upright"], IDENTITY), **{word: (prompts[word], view)}).draw(lab, show, k)

    return of_samples(
        name,
        seen,
        ("upright", word),
        caption=f"“{{upright}}”; {word}, “{{{word}}}”.",
        alt={"upright": "as drawn", word: word},
        upright=upright,
        **through,
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
        of_samples(
            "three",
            three,
            ("near", "middle", "far"),
            caption="From afar “{far}”, from half way “{middle}”, from near “{near}”.",
            alt={"near": "from near", "middle": "blurred a little, as from half way", "far": "blurred, as from afar"},
            far=DOG,
            middle=LION,
            near=TIGER,
        ),
        of_samples(
            "colour",
            coloured,
            ("colour", "grey"),
            caption="In colour “{colour}”, in grey “{grey}”.",
            alt={"colour": "in colour", "grey": "in grey"},
            row="in {show}",
            colour=STRAWBERRY,
            grey=BEAR,
        ),
        of_samples(
            "motion",
            moved,
            ("still", "moving"),
            caption="At rest “{still}”, in motion “{moving}”.",
            alt={"still": "at rest", "moving": "blurred along the diagonal"},
            still=WATERFALLS,
            moving=SKULL,
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
            cases=each(image=MINE.inverse.image, near=MINE.inverse.near, k=(0, 1), show=("near", "far", "original")),
            draw=inverse,
            called={"image": MINE.called},
        ),
    ],
)
