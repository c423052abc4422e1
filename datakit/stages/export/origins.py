"""Where the rows of a dataset come from: by maker, teacher and licence; for the card of a dataset and of an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

Origin = tuple[str, str, str]
"""Recipe ("" for rows that were read in), teacher ("" for none), licence ("" if nobody named one)."""
COLUMNS = ("synthesize.recipe", "synthesize.teacher", "licence")
LONGEST = 40
"""Characters of a teacher's name: a file of replies is named by its digest."""
TERMS = "Rows that a model wrote come under the terms of that model as well as under the licence of their sources."


def origins(table: pa.Table) -> Counter[Origin]:
    """How many rows of a table come from where."""
    columns = [
        table.column(name).to_pylist() if name in table.column_names else [None] * table.num_rows for name in COLUMNS
    ]
    return Counter(
        (str(recipe or ""), str(teacher or ""), str(licence or ""))
        for recipe, teacher, licence in zip(*columns, strict=True)
    )


def origin_lines(counts: Mapping[Origin, int]) -> list[str]:
    """A Markdown table of origins, with a word on models where one wrote rows; [] if all rows were read in."""
    if not any(recipe for recipe, _, _ in counts):
        return []
    lines = ["| made by | teacher | licence | rows |", "|---|---|---|---:|"]
    for (recipe, teacher, licence), rows in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        cells = (recipe or "read in", _short(teacher) or "none", licence or "not named")
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} | {rows:,} |")
    return [*lines, "", TERMS] if any(teacher for _, teacher, _ in counts) else lines


def _short(teacher: str) -> str:
    return teacher if len(teacher) <= LONGEST else teacher[:LONGEST] + "…"


def _cell(text: str) -> str:
    """Text that can't break out of a Markdown table."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<").split())
