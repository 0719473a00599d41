"""Generates the model card's evaluation section and its chart from evaluation.json."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- evaluation -->", "<!-- /evaluation -->"
PROMPTS = {  # description of each part's prompts
    "names": "names", "names with a style word": "styles", "never met: style and place": "places", "pairs": "pairs",
}  # fmt: skip
FRESH = "new drawings of the same names"  # the reference for finding copies
WAYS = {"inpainted": "in a single pass", "resampled": "with resampling"}  # section 1.7.2's panels of filled holes
ENLARGED = "samples, enlarged by stage 2"
SURE = 0.5  # a judge's best name counts as certain from this probability


def format_share(found: Sequence[float]) -> str:
    """Formats a share and its interval: [0.41, 0.3, 0.53] becomes "0.41 (0.30–0.53)"."""
    value, low, high = found
    return f"{value:.2f} ({low:.2f}–{high:.2f})"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Formats a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def section(found: dict[str, Any], readings: Sequence[dict[str, Any]]) -> str:
    """Returns the section as Markdown from the content of evaluation.json and the samples of illusions.json."""
    sampler = found["sampler"]
    first, second = found["judges"]["held out"]
    near = found["nearest"]
    parts = [
        "## Evaluation",
        f"`make evaluate` draws and judges {found['evaluations']:,} evaluations of stage 1, and then the pictures with "
        "several readings, in a quarter of an hour on two idle cores; all numbers are in `evaluation.json` and "
        f"`illusions.json`. Seed 42, nothing chosen; unless said otherwise gamma = {sampler['gamma']:g}, every "
        f"{sampler['stride']}th timestep, threshold {sampler['threshold']:g}. In parentheses: Wilson's 95% interval. "
        f"The weights judged here have the digest `{found['model']['digest'][:12]}`.",
        "### In short",
        summary(found, readings),
        "### The judges",
        f"Two networks of different architectures (`networks.py`) rank {found['judges']['names']} names for a picture: "
        "a perceptron over histograms of gradients and colours, whose numbers count, and a residual convolutional "
        "network, which checks it. Both learned only from drawings, each from its own. Accuracy of the first; the "
        "second on unseen drawings (icons of a hand that neither they nor pocket trained on; scenes, things in places "
        "and pairs from new random numbers):",
        table(
            ("Drawings", "n", "R@1", "R@5", "style", "place"),
            [(lot, row["n"], *(f"{row[key]:.2f}; {second[lot][key]:.2f}" for key in ("R@1", "R@5", "style", "place")))
             for lot, row in first.items()],
        ),
        "### Names, styles, combinations",
        "![R@1 over gamma](evaluation.svg)",
        table(
            ("Prompts", "n", "R@1", "R@5", "right style", "right place", "R@1 by the second judge", "both agree"),
            [
                (what, row["n"],
                 *(format_share(row[key]) if key in row else "" for key in ("R@1", "R@5", "style", "place")),
                 format_share(row["second"]["R@1"]), format_share(row["agreement"]))
                for what, part in PROMPTS.items()
                for row in found[part]
            ],
        ),
        "A pair counts as retrieved if its two names rank first and second.",
        "### Gamma, clipping, steps",
        f"At every {found['sweep'][0]['stride']}th timestep, n = {found['sweep'][0]['n']} a cell: R@1 with x_0^ "
        "clipped (threshold 1) or thresholded dynamically.",
        sweep_table(found["sweep"]),
        table(
            ("Every … timesteps", "n", "R@1", "R@5"),
            [(row["stride"], row["n"], format_share(row["R@1"]), format_share(row["R@5"])) for row in found["strides"]],
        ),
        "### Memorised?",
        f"Distance to the nearest of {near['training drawings']:,} training drawings (quartiles), for {near['n']} "
        "names drawn by pocket and for pictures outside the training. Copies: nearer than 19 in 20 of those; of new "
        "drawings, 1 in 20 counts as a copy.",
        copy_table(near),
        "### Diversity",
        "Mean root mean square difference of two samples of one prompt, as a fraction of the range from black to "
        "white, compared with that of the training drawings with this caption.",
        table(
            ("Prompt", "seeds", "drawn", "training drawings", "training", "share"),
            [
                (row["prompt"], row["seeds"], f"{row['drawn']:.3f}", row["training drawings"],
                 *("–" if row[key] is None else f"{row[key]:.3f}" for key in ("training", "share")))
                for row in found["diversity"]
            ],
        ),
        "### “A high quality photo”",
        "The best name for each of the five samples of section 1.6, with the judge's probability.",
        table(
            ("Sample", "gamma", "first judge", "second judge"),
            [
                (row["k"], row["gamma"],
                 *(f"{name} ({p:.2f})" for name, p in zip(row["names"], row["probabilities"], strict=True)))
                for row in found["photos"]
            ],
        ),
        "### Pictures with several readings",
        "As in Geng et al. 2024: alignment is the score of the worse reading, here a log-probability, at best 0; "
        "concealment the mean softmax probability of the right prompts, 0.5 if the readings are indistinguishable. "
        "Rank: each reading's own prompt among 20, by the first judge and by the second.",
        illusion_table(readings),
        "### SDEdit",
        "Root mean square distance to the original by i_start.",
        edit_table(found["sdedit"]),
        "### Borders",
        "Mean absolute step from pixel to pixel (black to white is 2) across the border of each hole of section 1.7.2, "
        "filled and in the original:",
        table(
            ("Image", "filled", "step", "original's", "ratio"),
            [
                (row["image"], WAYS[row["show"]], *(f"{row[key]:.3f}" for key in ("filled", "original", "ratio")))
                for row in found["inpainting"]
            ],
        ),
        "The step across the borders of stage 1's patches, over the step inside them; 1 if no border is visible:",
        table(
            ("Pictures", "pixels", "n", "ratio"),
            [(row["what"], row["pixels"], row["n"], f"{row['ratio']:.3f}") for row in found["seams"]],
        ),
    ]  # fmt: skip
    return "\n\n".join(parts)


def summary(found: dict[str, Any], readings: Sequence[dict[str, Any]]) -> str:
    """Returns targets and results as a table."""
    diverse = [row["share"] for row in found["diversity"] if row["share"] is not None]
    sure = sum(row["probabilities"][0] >= SURE for row in found["photos"])
    falls = found["sdedit"]["falls"].values()
    rows = [
        ("names, R@1", format_share(found["names"][0]["R@1"]), "≥ 0.85"),
        ("with a style word, R@1", format_share(found["styles"][0]["R@1"]), "≥ 0.60"),
        ("never met (style and place), R@1", format_share(found["places"][0]["R@1"]), "≥ 0.40"),
        ("diversity of six prompts, as a share of the training drawings' own", f"{min(diverse):.2f} to "
         f"{max(diverse):.2f}", "≥ 0.50 each"),
        ("copies, in pixels", format_share(found["nearest"]["pixels"]["references"][FRESH]["copies"]), "≤ 0.10"),
        *(
            (f"{figure}, “{'”, “'.join(prompts)}”: samples with every reading first of 20; by the second judge",
             f"{first} of {n}; {second} of {n}", "≥ 1")
            for (figure, *prompts), first, second, n in count_first_ranks(readings)
        ),
        (f"1.6: samples whose best name has a probability of {SURE} or more", f"{sure} of {len(found['photos'])}",
         "≥ 4 of 5"),
        ("SDEdit: images whose distance falls at every step", f"{sum(falls)} of {len(falls)}", "all"),
        *((f"inpainting {way}: step across the hole's border, over the original's there",
           ", ".join(f"{row['ratio']:.2f}" for row in found["inpainting"] if row["show"] == show), "≤ 1.50 each")
          for show, way in WAYS.items()),
        ("step across patch borders over that inside, at 256 pixels",
         ", ".join(f"{row['ratio']:.2f} of {row['n']}" for row in found["seams"] if row["what"] == ENLARGED),
         "≤ 1.05"),
        ("weights, MB", f"{found['model']['megabytes']:.1f}", "≤ 40"),
    ]  # fmt: skip
    return table(("Measure", "reached", "target"), rows)


def count_first_ranks(rows: Sequence[dict[str, Any]]) -> list[tuple[tuple[str, ...], int, int, int]]:
    """For each figure, named with its prompts, counts the samples in which all readings rank first, by each judge, and
    all samples."""
    figures: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        figures.setdefault((row["figure"], *row["prompts"]), []).append(row)

    def first(some: list[dict[str, Any]], judge: str) -> int:
        return sum(set(row[judge]) == {1} for row in some)

    return [(figure, first(some, "ranks"), first(some, "second"), len(some)) for figure, some in figures.items()]


def copy_table(near: dict[str, Any]) -> str:
    """Formats the distances to the nearest training drawings as a table."""
    rows = []
    for space in ("pixels", "features"):
        drawn = " / ".join(f"{v:.3f}" for v in near[space]["drawn"])
        for what, row in near[space]["references"].items():
            apart = " / ".join(f"{v:.3f}" for v in row["quartiles"])
            rows.append((space, drawn, f"{what} (n = {row['n']})", apart, format_share(row["copies"])))
    return table(("Space", "drawn", "not seen in training", "their distance", "copies"), rows)


def sweep_table(rows: Sequence[dict[str, Any]]) -> str:
    """Formats R@1 as a table of thresholds by gammas."""
    gammas = list(dict.fromkeys(row["gamma"] for row in rows))
    cells = {(row["threshold"], row["gamma"]): f"{row['R@1'][0]:.2f}" for row in rows}
    thresholds = list(dict.fromkeys(row["threshold"] for row in rows))
    return table(
        ("Threshold", *(f"gamma {gamma:g}" for gamma in gammas)),
        [(f"{threshold:g}", *(cells[threshold, gamma] for gamma in gammas)) for threshold in thresholds],
    )


def illusion_table(rows: Sequence[dict[str, Any]]) -> str:
    return table(
        ("Figure", "readings", "sample", "alignment", "concealment", "ranks", "by the second judge"),
        [
            (row["figure"], "; ".join(row["prompts"]), row["k"], f"{row['alignment']:.1f}", f"{row['concealment']:.2f}",
             ", ".join(map(str, row["ranks"])), ", ".join(map(str, row["second"])))
            for row in rows
        ],
    )  # fmt: skip


def edit_table(found: dict[str, Any]) -> str:
    levels = list(dict.fromkeys(level for row in found["distance"].values() for level in row))
    return table(
        ("Image", *(f"i_start {level}" for level in levels), "falls at every step"),
        [
            (image, *(f"{row[level]:.3f}" for level in levels), "yes" if found["falls"][image] else "no")
            for image, row in found["distance"].items()
        ],
    )


def replace_section(card: str, text: str) -> str:
    """Replaces the text between the card's two markers.

    Raises ValueError if a marker is missing, repeated, or in the wrong order.
    """
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or card.count(BEGIN) != 1 or card.count(END) != 1:
        raise ValueError(f"the card needs one {BEGIN} and, below it, one {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def chart(found: dict[str, Any], path: Path) -> None:
    """Plots R@1 over gamma as an SVG file: one line per threshold, and the report's own steps, each with its
    interval."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with pyplot.rc_context(
        {"svg.hashsalt": "pocket", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure, axes = pyplot.subplots(figsize=(6, 3.4), layout="constrained")
        lines = [
            (f"threshold {threshold:g}, every {found['sweep'][0]['stride']}th timestep",
             [row for row in found["sweep"] if row["threshold"] == threshold], "--o")
            for threshold in dict.fromkeys(row["threshold"] for row in found["sweep"])
        ]  # fmt: skip
        every = f"every {found['sampler']['stride']}th timestep"
        lines += [(f"names, {every}", found["names"], "s"), (f"with a style word, {every}", found["styles"], "^")]
        for label, rows, style in lines:
            values = [row["R@1"][0] for row in rows]
            errors = [[row["R@1"][0] - row["R@1"][1] for row in rows], [row["R@1"][2] - row["R@1"][0] for row in rows]]
            axes.errorbar(
                [row["gamma"] for row in rows], values, errors, fmt=style, label=label, capsize=2, linewidth=1.2
            )
        axes.set(xlabel="guidance scale gamma", ylabel="R@1", ylim=(0, 1))
        axes.legend(frameon=False, loc="lower left")
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
