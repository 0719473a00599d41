"""What is declared: figures as data, the sections as shipped against the course's list, and who imports whom."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from generators import inputs
from generators.figures import Figure, Panel, Section, each, strip
from generators.records.errors import DeclarationError
from generators.records.texts import section_key
from generators.running import run, staleness
from generators.settings import MINE

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
SECTIONS = [*staleness.sections()]
PHOTO = "a high quality photo"


def figure(**changes) -> Figure:
    """A figure that is declared rightly, but for the changes."""
    right = {
        "name": "noisy",
        "caption": "The {image}",
        "label": "t = {t}",
        "alt": "The {image} at t = {t}",
        "cases": each(image="fox", t=(250, 500)),
        "draw": lambda lab, **case: None,
    }
    return Figure(**{**right, **changes})


# --- each and strip


def test_each_gives_all_combinations_the_last_axis_fastest():
    assert each(image=("fox", "campanile"), t=(1, 2)) == (
        {"image": "fox", "t": 1},
        {"image": "fox", "t": 2},
        {"image": "campanile", "t": 1},
        {"image": "campanile", "t": 2},
    )


def test_each_takes_a_single_value_and_a_text_as_one_choice_and_a_list_as_many():
    assert each(image="fox", t=[250, 500]) == ({"image": "fox", "t": 250}, {"image": "fox", "t": 500})
    assert each() == ({},)
    assert each(t=()) == ()


def test_a_strip_ends_with_the_original():
    assert strip("t", (250, 500), image="fox") == (
        {"image": "fox", "t": 250, "show": "t = 250"},
        {"image": "fox", "t": 500, "show": "t = 500"},
        {"image": "fox", "t": None, "show": "original"},
    )


def test_a_strip_stands_once_for_each_combination_of_its_axes():
    cases = strip("i_start", (1, 3), image=("fox", "campanile"))
    assert [(case["image"], case["i_start"]) for case in cases] == [
        (image, i) for image in ("fox", "campanile") for i in (1, 3, None)
    ]


# --- figures and sections


def test_templates_are_filled_from_the_case():
    right = figure(row="{image}, t below {t}", finds=("psnr",), label="t = {t}: {psnr:.1f} dB")
    case = right.cases[1]
    assert right.caption_text() == "The fox"
    assert right.row_of(case) == "fox, t below 500"
    assert right.label_of(case, {"psnr": 21.456}) == "t = 500: 21.5 dB"
    assert right.alt_of(case) == "The fox at t = 500"


@pytest.mark.parametrize(
    ("template", "text", "fields"),
    [
        ("label", "t = {level}", "image, t"),
        ("alt", "{gamma}", "image, t"),
        ("row", "{level}", "image, t"),
        ("caption", "{level}", "image"),
        ("caption", "t = {t}", "image"),  # differs from case to case
    ],
)
def test_a_template_that_names_an_absent_field_is_refused_and_told_which_there_are(template, text, fields):
    name = text[text.index("{") + 1 : text.index("}")]
    with pytest.raises(DeclarationError) as caught:
        figure(**{template: text})
    assert str(caught.value) == f"figure 'noisy': {template} names {{{name}}}; the fields are: {fields}"


def test_alt_texts_may_differ_with_what_is_shown():
    cases = each(t=(250,), show=("original", "noisy"))
    right = figure(caption="", label="{show}", alt={"original": "As it was", "*": "At t = {t}"}, cases=cases)
    assert [right.alt_of(case) for case in cases] == ["As it was", "At t = 250"]
    with pytest.raises(DeclarationError, match=r"figure 'noisy': alt has no text for 'noisy'; it has: original$"):
        figure(caption="", label="{show}", alt={"original": "As it was"}, cases=cases)
    with pytest.raises(DeclarationError, match=r"alt names \{gamma\}; the fields are: show, t$"):
        figure(caption="", label="{show}", alt={"*": "{gamma}"}, cases=cases)


def test_a_field_that_only_some_cases_have_is_absent():
    with pytest.raises(DeclarationError, match=r"label names \{gamma\}; the fields are: t$"):
        figure(label="{t} {gamma}", caption="", alt="", cases=({"t": 1, "gamma": 7}, {"t": 2}))


def test_found_values_may_stand_in_labels_and_alt_texts_but_not_in_rows_and_captions():
    figure(label="{psnr}", alt="{psnr:.1f} dB", finds=("psnr",))
    for template in ("row", "caption"):
        with pytest.raises(DeclarationError, match=f"{template} names {{psnr}}"):
            figure(**{template: "{psnr}"}, finds=("psnr",))


def test_equal_labels_are_refused():
    with pytest.raises(DeclarationError, match="figure 'noisy': two panels have the label 'fox'"):
        figure(label="{image}")


def test_equal_labels_in_different_rows_are_not_equal():
    cases = each(image=("fox", "campanile"), t=(250, 500))
    figure(caption="", row="{image}", cases=cases)
    with pytest.raises(DeclarationError, match="two panels have the label"):
        figure(caption="", cases=cases)


@pytest.mark.parametrize("name", ["", "Noisy", "noisy image", "noisy_image", "a/b", "ä"])
def test_a_bad_figure_name_is_refused(name):
    with pytest.raises(DeclarationError, match="use lower-case words joined by hyphens"):
        figure(name=name)


def test_a_figure_without_cases_is_refused():
    with pytest.raises(DeclarationError, match="figure 'noisy' has no cases"):
        figure(cases=())


@pytest.mark.parametrize("section_id", ["", "1.", ".1", "1..2", "one", "1.a", "1-2", "-1", "1.7.2 "])
def test_a_bad_section_id_is_refused(section_id):
    with pytest.raises(DeclarationError, match=r"the id must be numbers joined by dots, such as 1\.7\.2"):
        Section(section_id, "A title", [figure()])


def test_two_figures_of_one_name_are_refused():
    with pytest.raises(DeclarationError, match=r"section 1\.1: two figures are named 'noisy'"):
        Section("1.1", "A title", [figure(), figure()])
    Section("1.1", "A title", [figure(), figure(name="other")])


def test_sections_sort_by_number():
    ids = ["0", "1.1", "1.2", "1.7", "1.7.1", "1.7.2", "1.7.10", "1.8", "1.9", "1.10", "1.11", "2", "10"]
    assert sorted([*ids[7:], *ids[:7]], key=section_key) == ids


def test_a_panel_may_bring_values_or_none():
    assert Panel("image").found == {}
    assert Panel("image", {"sigma": 2}).found == {"sigma": 2}


# --- the sections as they ship


def declared(section_id: str) -> list[dict]:
    """All the cases of a shipped section, each with the name of its figure."""
    section = run.load_section(section_id)
    return [{**case, "figure": figure.name} for figure in section.figures for case in figure.cases]


@pytest.mark.parametrize("section_id", SECTIONS)
def test_a_shipped_section_loads_under_the_number_of_its_file(section_id):
    section = run.load_section(section_id)
    assert section.id == section_id
    assert staleness.sections()[section_id].name == f"part_{section_id.replace('.', '_')}.py"
    assert section.title
    assert section.figures


@pytest.mark.parametrize("section_id", SECTIONS)
def test_a_shipped_figure_has_words_for_all_its_panels(section_id):
    for figure in run.load_section(section_id).figures:
        found = dict.fromkeys(figure.finds, 0)
        assert figure.caption_text().strip().endswith(".")
        for case in figure.cases:
            assert figure.label_of(case, found)
            alt = figure.alt_of(case, found)
            assert len(alt) > 12
            assert "image of" not in alt.lower()


def test_page_order_is_the_courses():
    course = ["0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.7.1", "1.7.2", "1.7.3", "1.8", "1.9"]
    assert [section_id for section_id in SECTIONS if section_id in course] == course
    assert sorted(SECTIONS, key=section_key) == SECTIONS


PROMPTS = ("an android dreaming of electric sheep", "Dr.Jones holding the holy grail", "a mobius strip")
LEVELS, SHOWN = (1, 3, 5, 7, 10, 20, None), ("original", "mask", "to be filled", "inpainted", "resampled")
OIL, PHOTO_OF, LITHOGRAPH = "an oil painting of ", "a photo of ", "a lithograph of "

# What the course asks for: for each section which fields of its cases, and their values.
COURSE = {
    "0": [("prompt", "steps", "pixels"), each(p=PROMPTS, s=(50, 100), n=(64, 256, 1024))],
    "1.1": [("t",), each(t=(250, 500, 750, None))],
    "1.2": [("show", "t"), each(show=("noisy", "best blur"), t=(250, 500, 750))],
    "1.3": [("show", "t"), each(show=("original", "noisy", "one-step estimate"), t=(250, 500, 750))],
    "1.4": [
        ("figure", "t", "show"),
        (
            # Every fifth step is asked for: t = 690, 540, 390, 240 and 90. All are shown, and where they lead.
            *({"figure": "trajectory", "t": t, "show": f"t = {t}"} for t in range(690, -1, -30)),
            {"figure": "trajectory", "t": None, "show": "clean"},
            *each(figure="results", t=690, show=("original", "noisy", "iteratively denoised", "one step", "best blur")),
        ),
    ],
    "1.5": [("prompt", "k"), each(prompt=PHOTO, k=(0, 1, 2, 3, 4))],
    "1.6": [("prompt", "gamma", "k"), each(prompt=PHOTO, gamma=7, k=(0, 1, 2, 3, 4))],
    "1.7": [("prompt", "image", "i_start"), each(p=PHOTO, image=("campanile", "fox", "building"), i=LEVELS)],
    "1.7.1": [("prompt", "i_start"), [case for case in each(p=PHOTO, i=LEVELS) for _ in range(3)]],
    "1.7.2": [("image", "show"), each(image=("campanile", "fox", "building"), show=SHOWN)],
    "1.7.3": [
        ("prompt", "image", "i_start"),
        [
            {"prompt": prompt, "image": image, "i": i}
            for prompt, image in (
                ("a rocket ship", "campanile"),
                ("a pencil", "campanile"),
                ("a rocket ship", "fox"),
                ("a pencil", "building"),
            )
            for i in LEVELS
        ],
    ],
    "1.8": [
        ("upright", "flipped", "show"),
        [
            {"upright": upright, "flipped": flipped, "show": show}
            for upright, flipped in (
                (OIL + "an old man", OIL + "people around a campfire"),
                (PHOTO_OF + "a hipster barista", PHOTO_OF + "a dog"),
                ("a coffee", "a mushroom"),
            )
            for show in ("upright", "flipped")
        ],
    ],
    "1.9": [
        ("far", "near", "show"),
        [
            {"far": far, "near": near, "show": show}
            for far, near in (
                (LITHOGRAPH + "a skull", LITHOGRAPH + "waterfalls"),
                (LITHOGRAPH + "a skull", OIL + "people around a campfire"),
                ("a panda", "a skull"),
            )
            for show in ("near", "far")
        ],
    ],
}
PANELS = {  # 1.8 and 1.9 show three samples of each, and one of them in two sizes
    "0": 18, "1.1": 4, "1.2": 6, "1.3": 9, "1.4": 30, "1.5": 5, "1.6": 5,
    "1.7": 21, "1.7.1": 21, "1.7.2": 15, "1.7.3": 28, "1.8": 22, "1.9": 22,
}  # fmt: skip


@pytest.mark.parametrize("section_id", COURSE)
def test_every_deliverable_of_the_course_is_declared(section_id):
    fields, required = COURSE[section_id]
    found = [tuple(case.get(field) for field in fields) for case in declared(section_id)]
    for values in (tuple(case.values()) for case in required):
        assert values in found, f"{section_id} lacks {dict(zip(fields, values, strict=True))}"
    assert set(found) == {tuple(case.values()) for case in required}
    assert len(found) == PANELS[section_id]


def test_hand_drawn_and_web_images_are_three_others_than_1_7s():
    one, two = ({case["image"] for case in declared(section_id)} for section_id in ("1.7", "1.7.1"))
    assert len(two) == 3
    assert not one & two
    assert len([name for name in two if name.startswith("sketch")]) == 2


@pytest.mark.parametrize("section_id", SECTIONS)
def test_the_images_that_a_section_names_exist(section_id):
    for name in {case["image"] for case in declared(section_id) if "image" in case}:
        inputs.find(name)


def test_the_campaniles_hole_is_the_courses():
    from generators.diffusion.masks import rectangle

    hole = MINE.images["campanile"].hole
    mask = rectangle(hole.rows, hole.columns)
    assert mask.shape == (1, 64, 64)
    assert mask[0, 2:20, 24:42].min() == 1  # rows 2 to 19, columns 24 to 41 are new
    assert mask.sum() == 18 * 18


def test_the_hybrids_filter_is_the_courses():
    from inspect import signature

    from generators.diffusion import high_pass, low_pass

    for function in (low_pass, high_pass):
        parameters = signature(function).parameters
        assert (parameters["kernel"].default, parameters["sigma"].default) == (33, 2.0)


def test_the_seed_is_42_and_guidance_7_away_from_the_empty_prompt():
    from generators import lab, prompts
    from generators.models.deepfloyd.cascade import FirstStage

    assert (lab.SEED, FirstStage.gamma, prompts.UNCONDITIONAL, prompts.PHOTO) == (42, 7, "", PHOTO)


# --- who imports whom


GRAPH = grimp.build_graph(
    "generators", "report", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
)


def modules(package: str) -> list[str]:
    """All modules of a package or a room."""
    return sorted(name for name in GRAPH.modules if f"{name}.".startswith(f"{package}."))


def imported(module: str) -> set[str]:
    """What a module imports, but for type checkers: our modules by their full names, other packages by theirs."""
    return GRAPH.find_modules_directly_imported_by(module)


# The rooms of a package, the lowest first: a module may import from its own room and from those before it. Modules that
# lie beside the rooms count as rooms of one file.
ROOMS = {
    "generators": (
        *("records", "settings", "diffusion", "figures", "prompts", "inputs"),
        *("models", "lab", "pipeline", "editing", "readings", "sections", "pictures", "running"),
        *("making", "bench"),  # they make the weights and measure; nothing that draws needs them
    ),
    "generators.making": ("drawings", "training", "judging", "evaluation"),
    "report": (
        "install",
        "problems",
        "records",
        "prose",
        "web",
        "figures",
        "page",
        "publishing",
        "command",
        "__main__",
    ),
}


@pytest.mark.parametrize("package", ROOMS)
def test_imports_point_one_way_between_rooms(package):
    rooms = ROOMS[package]
    for module in modules(package):
        if module == package:
            continue
        depth = package.count(".") + 1
        here = module.split(".")[depth]
        for other in imported(module):
            if other.startswith(f"{package}."):
                there = other.split(".")[depth]
                assert {here, there} <= set(rooms), f"{module} imports {other}: put their rooms into ROOMS"
                assert rooms.index(there) <= rooms.index(here), f"{module} imports {other}: that room comes later"


def test_modules_that_made_pocket_import_each_other_in_no_circle():
    """Imports inside functions count."""
    making = modules("generators.making")
    assert len(making) >= 25
    TopologicalSorter({module: imported(module) & set(making) for module in making}).prepare()  # raises CycleError


def test_a_search_reaches_neither_the_drawings_nor_the_training_nor_what_only_they_need():
    reached = GRAPH.find_upstream_modules("report.command.picture_verbs")
    assert {f"generators.making.judging.{module}" for module in ("search", "shipped", "networks")} <= reached
    for room in ("drawings", "training", "evaluation"):
        assert not reached & set(modules(f"generators.making.{room}"))
    assert not reached & set(EXTRAS["train"])


def test_sections_never_import_each_other():
    sections = modules("generators.sections")
    assert len(sections) >= 14
    for module in sections:
        assert not imported(module) & set(sections), module


def test_the_generators_know_nothing_of_the_page():
    for module in modules("generators"):
        assert not imported(module) & set(modules("report")), module


def test_the_maths_knows_no_files_no_models_and_no_report():
    for module in modules("generators.diffusion"):
        assert not imported(module) & {"pathlib", "os", "io", "json", "PIL", "diffusers", "transformers"}, module


def test_diffusers_is_imported_under_models_and_to_measure_only():
    users = {user for name in ("diffusers", "transformers") for user in GRAPH.find_modules_that_directly_import(name)}
    assert users
    assert users - {"generators.pipeline"} <= {*modules("generators.models"), *modules("generators.bench")}


def test_the_page_is_made_without_torch_and_meets_the_generators_in_records_and_settings_only():
    """What the builder reaches by import, at any depth; the command line and its progress bars stand above both."""
    reached = GRAPH.find_upstream_modules("report.page.builder")
    drawing = set(modules("generators")) - {"generators", "generators.settings", *modules("generators.records")}
    assert not reached & {"torch", "diffusers", "transformers", *drawing}
    assert {"generators.records.record", "report.page.links"} <= reached
    assert not reached & {"report.command.cli", "report.command.progress"}


LIGHT = (
    "generators.figures",
    "generators.running.staleness",
    "generators.inputs",
    "generators.models",
    "generators.running.run",
)


@pytest.mark.parametrize(
    ("names", "absent"),
    [(LIGHT, ("torch", "diffusers", "transformers")), (("report.page.builder",), ("torch", "generators.figures"))],
)
def test_what_must_start_fast_leaves_torch_alone(names, absent):
    code = f"import sys, {', '.join(names)}; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_knows_the_names_of_all_models():
    from generators import models
    from generators.records.texts import MODELS

    assert MODELS == models.NAMES
