"""The records of the page: of sections drawn here, and of published ones for the rest."""

from __future__ import annotations

from pathlib import Path

from generators.records.errors import SealError
from generators.records.record import FILE, Record, read
from generators.records.texts import section_key
from report.problems import Problems, run


def load(root: Path, model: str, site: Path, problems: Problems, drawn_here: bool = True) -> list[Record]:
    """Reads the records of all sections that `model` has drawn, in page order.

    A record in root/.report takes precedence over the published one in `site`; without `drawn_here`, only published
    ones are read. An unusable record is skipped and reported to `problems`, in one line.
    """
    paths = {path.stem: path for path in site.glob("records/*.json")}
    if drawn_here:
        paths |= {path.parent.name: path for path in root.glob(f".report/{model}/[!.]*/{FILE}")}
    records = []
    for section_id, path in paths.items():
        local = path.name == FILE
        again = run(f"section {section_id}", model)
        try:
            record = read(path, path.parent if local else None)
        except SealError as error:
            problems.add(path, None, f"{error}; to draw it again, {again}")
            continue
        except KeyError as error:
            problems.add(path, None, f"the record has no {error}; {again}")
            continue
        except (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            problems.add(path, None, f"not a record ({error}); {again}")
            continue
        if not (root / record.source).is_file():
            continue  # the section was removed from the report
        if record.id != section_id:
            problems.add(path, None, f"the record belongs to section {record.id}; {again}")
        elif record.model == model:
            records.append(record)
        elif local:  # a published record of another model does not concern this page
            problems.add(path, None, f"drawn by {record.model}, not {model}; {again}")
    return sorted(records, key=lambda record: section_key(record.id))
