"""The evaluation's section of the model card and its chart, both made from evaluation.json."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- evaluation -->", "<!-- /evaluation -->"


def share(found: Sequence[float]) -> str:
    """[0.41, 0.3, 0.53] as "0.41 (0.30–0.53)": a share and its interval."""
    value, low, high = found
    return f"{value:.2f} ({low:.2f}–{high:.2f})"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def section(found: dict[str, Any]) -> str:
    """The section's text, in Markdown, from the content of evaluation.json."""
    held_out = found["scorer"]["held out"]
    sampler = found["sampler"]
    near = found["nearest"]
    parts = [
        "## Evaluation",
        "`make evaluate` draws and judges "
        f"{found['evaluations']:,} evaluations of stage 1 in {found['seconds'] / 60:.0f} minutes; all numbers are in "
        f"`evaluation.json`. Seed 42, nothing chosen; unless said otherwise gamma = {sampler['gamma']:g}, every "
        f"{sampler['stride']}th timestep, threshold {sampler['threshold']:g}. In parentheses: Wilson's 95% interval. "
        f"The weights judged here have the digest `{found['model']['digest'][:12]}`.",
        "### The judge",
        "A small convolutional network trained on real pictures only (`scorer.py`) ranks "
        f"{found['scorer']['names']} names for a picture. On real pictures it has not seen (icons of a package that "
        "neither it nor pocket was trained on; other variants of the scenes, grounds and pairs):",
        table(
            ("Real pictures", "n", "R@1", "R@5", "style", "place"),
            [(lot, row["n"], *(f"{row[key]:.2f}" for key in ("R@1", "R@5", "style", "place")))
             for lot, row in held_out.items()],
        ),
        "### Names, styles, combinations",
        "![R@1 over gamma](evaluation.svg)",
        table(
            ("Prompts", "gamma", "n", "R@1", "R@5", "right style", "right place"),
            [
                (what, row.get("gamma", f"{sampler['gamma']:g}"), row["n"],
                 *(share(row[key]) if key in row else "" for key in ("R@1", "R@5", "style", "place")))
                for what, rows in (
                    [("names", found["names"]), ("names with a style word", found["styles"])]
                    + [(f"never met: {row['what']}", [row]) for row in found["unseen"]]
                )
                for row in rows
            ],
        ),
        "A pair counts as retrieved where its two names come first and second. On real pictures the judge itself finds "
        f"{held_out['places']['place']:.0%} of the places and {held_out['pairs']['R@1']:.0%} of the pairs: these rows "
        "say at least as much about the judge as about pocket.",
        "### Gamma, clipping, steps",
        f"At every {found['sweep'][0]['stride']}th timestep, n = {found['sweep'][0]['n']} a cell: R@1 with x_0^ "
        "clipped (threshold 1) or thresholded dynamically.",
        sweep(found["sweep"]),
        table(
            ("Every … timesteps", "n", "R@1", "R@5"),
            [(row["stride"], row["n"], share(row["R@1"]), share(row["R@5"])) for row in found["strides"]],
        ),
        "### Memorised?",
        f"Distance to the nearest of {near['training pictures']:,} training pictures (quartiles), for {near['n']} "
        f"names drawn by pocket and for {near['held out']} held-out real icons. Copies: nearer than 19 in 20 of the "
        "held-out ones.",
        table(
            ("Space", "drawn", "held-out real", "copies"),
            [
                (space, " / ".join(f"{v:.3f}" for v in near[space]["drawn"]),
                 " / ".join(f"{v:.3f}" for v in near[space]["held-out real"]), share(near[space]["copies"]))
                for space in ("pixels", "features")
            ],
        ),
        "### Diversity",
        "Mean root mean square difference of two samples of one prompt, as a part of the range from black to white, "
        "beside that of the training pictures with this caption.",
        table(
            ("Prompt", "seeds", "drawn", "training pictures", "training"),
            [
                (row["prompt"], row["seeds"], f"{row['drawn']:.3f}", row["training pictures"],
                 "–" if row["training"] is None else f"{row['training']:.3f}")
                for row in found["diversity"]
            ],
        ),
        "### Anagrams and hybrids",
        "As in Geng et al. 2024: alignment is the score of the worse reading, here a log-probability, at best 0; "
        "concealment the mean softmax probability of the right prompts, 0.5 where the readings cannot be told apart. "
        "Rank: each reading's own prompt among 20.",
        illusions("Upright; flipped", found["anagrams"]),
        illusions("From afar; from near", found["hybrids"]),
        "### SDEdit",
        "Root mean square distance to the original by i_start.",
        edits(found["sdedit"]),
    ]  # fmt: skip
    return "\n\n".join(parts)


def sweep(rows: Sequence[dict[str, Any]]) -> str:
    """R@1 as a table of thresholds by gammas."""
    gammas = list(dict.fromkeys(row["gamma"] for row in rows))
    cells = {(row["threshold"], row["gamma"]): f"{row['R@1'][0]:.2f}" for row in rows}
    thresholds = list(dict.fromkeys(row["threshold"] for row in rows))
    return table(
        ("Threshold", *(f"gamma {gamma:g}" for gamma in gammas)),
        [(f"{threshold:g}", *(cells[threshold, gamma] for gamma in gammas)) for threshold in thresholds],
    )


def illusions(readings: str, rows: Sequence[dict[str, Any]]) -> str:
    return table(
        (readings, "sample", "alignment", "concealment", "ranks"),
        [
            ("; ".join(row["prompts"]), row["k"], f"{row['alignment']:.1f}", f"{row['concealment']:.2f}",
             ", ".join(map(str, row["ranks"])))
            for row in rows
        ],
    )  # fmt: skip


def edits(found: dict[str, Any]) -> str:
    levels = list(dict.fromkeys(level for row in found["distance"].values() for level in row))
    return table(
        ("Image", *(f"i_start {level}" for level in levels), "falls at every step"),
        [
            (image, *(f"{row[level]:.3f}" for level in levels), "yes" if found["falls"][image] else "no")
            for image, row in found["distance"].items()
        ],
    )


def put(card: str, text: str) -> str:
    """The card with the text between its two markers, in place of what stood there.

    Raises ValueError where a marker is missing, double, or in the wrong order.
    """
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or card.count(BEGIN) != 1 or card.count(END) != 1:
        raise ValueError(f"the card needs one {BEGIN} and, below it, one {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def chart(found: dict[str, Any], path: Path) -> None:
    """R@1 over gamma as an SVG file: one line a threshold, and the report's own steps, each with its interval."""
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
        lines += [(f"names, {every}", found["names"], "-s"), (f"with a style word, {every}", found["styles"], "-^")]
        for label, rows, style in lines:
            values = [row["R@1"][0] for row in rows]
            errors = [[row["R@1"][0] - row["R@1"][1] for row in rows], [row["R@1"][2] - row["R@1"][0] for row in rows]]
            axes.errorbar(
                [row["gamma"] for row in rows], values, errors, fmt=style, label=label, capsize=2, linewidth=1.2
            )
        axes.set(xlabel="guidance scale gamma", ylabel="R@1", ylim=(0, 1))
        axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
