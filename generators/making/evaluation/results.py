"""How the evaluation's results are written: rounded, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def rounded(value: Any) -> Any:
    """Returns the value with every float rounded to four decimals."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def write(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    """Writes the results, rounded, and returns them so."""
    kept = rounded(found)
    text = json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return kept
