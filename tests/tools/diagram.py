"""`make diagram`: the rooms of the code and who imports whom, as a diagram in CONTRIBUTING.md."""

from __future__ import annotations

from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PACKAGES = ("generators", "report")
BEGIN, END = "<!-- rooms: written by `make diagram` -->\n", "<!-- end of rooms -->\n"


def rooms() -> dict[str, set[str]]:
    """Every room, such as "report.page", with the rooms that it imports from. Imports for type checkers do not count.

    A room is a folder of a package. The modules beside the folders are left out, but what they import counts for those
    that import them.
    """
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=str(ROOT / ".cache" / "grimp"))
    top = sorted(name for package in PACKAGES for name in graph.find_children(package))
    folders = [name for name in top if graph.find_children(name)]
    for name in set(top) - set(folders):
        for importer in graph.find_modules_that_directly_import(name):
            for imported in graph.find_modules_directly_imported_by(name):
                graph.add_import(importer=importer, imported=imported)
        graph.remove_module(name)
    return {
        room: {
            other
            for other in folders
            if other != room and graph.direct_import_exists(importer=room, imported=other, as_packages=True)
        }
        for room in folders
    }


def without_detours(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same without arrows that a longer way implies: the transitive reduction of a graph without cycles."""

    def reached(room: str) -> set[str]:
        return {room}.union(*map(reached, imports[room]))

    return {
        room: {other for other in others if not any(other in reached(way) for way in others - {other})}
        for room, others in imports.items()
    }


def mermaid(imports: dict[str, set[str]]) -> str:
    """The diagram as a mermaid block: a box a package; an arrow leads from a room to one that it imports from."""
    names = {room: room.replace(".", "_") for room in sorted(imports)}
    lines = ["```mermaid", "flowchart TD"]
    for package in PACKAGES:
        inside = {room: name for room, name in names.items() if room.startswith(f"{package}.")}
        lines += [f"    subgraph {package}", *(f"        {inside[room]}[{room.partition('.')[2]}]" for room in inside)]
        lines.append("    end")
    lines += [f"    {names[room]} --> {names[other]}" for room in names for other in sorted(imports[room])]
    return "\n".join([*lines, "```", ""])


def with_diagram(text: str) -> str:
    """CONTRIBUTING.md's text with today's diagram between its markers."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + mermaid(without_detours(rooms())) + END + rest.partition(END)[2]


def main() -> None:
    path = ROOT / "CONTRIBUTING.md"
    path.write_text(with_diagram(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
