"""Duplicate clusters to browse: the row that stayed, its copies, how alike they are, and where their texts differ.

Shown are the largest clusters and those with the least alike copies: there a threshold is judged. Text only where the
page may show any, as the pipeline's `pii` stage leaves it. Bounded: `CLUSTERS` clusters of `COPIES` copies, and
`MOST_CHARACTERS` of text in all; what lies beyond is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from datakit.differences import Piece, side_by_side
from datakit.manifests import DatasetManifest
from datakit.readable import Reader, Shown
from datakit.reporting.texts import Gate, cut
from datakit.store import Store
from datakit.viewing import drop_tables

CLUSTERS, BORDERLINE = 40, 20
"""Clusters shown, and how many of them for their least alike copies."""
COPIES = 4
"""Copies shown of a cluster, the least alike first."""
MOST_CHARACTERS = 160_000
"""Characters of text in all clusters: half a megabyte of Korean."""
EXCERPT, CONTEXT = 400, 50
"""Characters of a text, and of what is equal around a difference."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A row that was folded into another; `here` and `there`: the row that stayed and this one, in pieces."""

    id: str
    source_id: str
    rule: str
    similarity: float | None
    """Jaccard similarity; None for an exact copy."""
    here: list[Piece] = field(default_factory=list)
    there: list[Piece] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A row that stayed and the rows folded into it."""

    id: str
    source_id: str
    text: str | None
    copies: list[Copy]
    size: int
    lowest: float
    """Similarity of the least alike copy; 1: all are exact."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """All clusters of a dataset: how many, how large, some of them, and what the bands of the last stage find."""

    clusters: int
    folded: int
    largest: int
    sizes: list[tuple[str, int]]
    examples: list[Cluster]
    curve: list[tuple[float, float]]
    """(similarity, share of such pairs that the bands bring together)."""
    threshold: float | None


def duplicates(manifest: DatasetManifest, store: Store, allowed: Gate) -> Duplicates | None:
    """The duplicate clusters of all `dedup` stages, None if there was none."""
    places = [place for place, report in enumerate(manifest.stages) if report.use == "dedup"]
    if not places:
        return None
    folded: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for place in places:
        for table in drop_tables(store, manifest.stages[place]):
            for row in table.select(["id", "source_id", "rule", "value", "threshold", "matched"]).to_pylist():
                if row["matched"]:
                    folded[row["matched"]].append({**row, "place": place})
    sizes: dict[int, int] = defaultdict(int)
    for rows in folded.values():
        sizes[len(rows) + 1] += 1
    own = allowed.state == "raw" or not own_ids(manifest.recipe)
    near = next((row for rows in folded.values() for row in rows if row["rule"] == "near_copy"), None)
    found = manifest.note("dedup").get("bands", {}).get("found", {})
    return Duplicates(
        clusters=len(folded),
        folded=sum(map(len, folded.values())),
        largest=max(sizes, default=0),
        sizes=size_groups(sizes),
        examples=_examples(_chosen(folded), folded, Reader(manifest, store, allowed.state == "raw"), allowed.open, own),
        curve=sorted((float(similarity), float(share)) for similarity, share in found.items()),
        threshold=float(near["threshold"]) if near else None,
    )


def own_ids(recipe: dict[str, Any]) -> bool:
    """Whether rows carry ids of the file's own instead of <file>:<line>."""
    return any(entry.get("id_field") for entry in recipe.get("stages", []))


def size_groups(sizes: dict[int, int]) -> list[tuple[str, int]]:
    """Cluster counts by size: 2, 3, 4, 5-9, 10-99, 100 and more."""
    borders = [(2, 2), (3, 3), (4, 4), (5, 9), (10, 99), (100, None)]
    groups = []
    for low, high in borders:
        count = sum(n for size, n in sizes.items() if low <= size and (high is None or size <= high))
        name = str(low) if low == high else f"{low}+" if high is None else f"{low}–{high}"
        groups.append((name, count))
    while groups and not groups[-1][1]:
        groups.pop()
    return groups


def _chosen(folded: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The clusters to show: the least alike and the largest, by size."""
    order = {name: (-len(folded[name]), _lowest(folded[name]), name) for name in folded}
    inexact = [name for name in folded if _lowest(folded[name]) < 1]
    border = sorted(inexact, key=lambda name: (_lowest(folded[name]), name))[:BORDERLINE]
    largest = [name for name in sorted(order, key=lambda name: order[name]) if name not in set(border)]
    return sorted([*border, *largest[: CLUSTERS - len(border)]], key=lambda name: order[name])


def _lowest(rows: Iterable[dict[str, Any]]) -> float:
    return min((alike for row in rows if (alike := _similarity(row)) is not None), default=1.0)


def _similarity(row: dict[str, Any]) -> float | None:
    """The similarity of a near copy; of an estimate ("0.859±0.031") its middle."""
    return float(row["value"].partition("±")[0]) if row["rule"] != "exact_copy" and row["value"] else None


def _examples(
    chosen: Sequence[str], folded: dict[str, list[dict[str, Any]]], reader: Reader, text: bool, own: bool
) -> list[Cluster]:
    shown = {name: _least_alike(folded[name])[:COPIES] for name in chosen}
    known = _known(shown, reader) if text else {}
    left, found = MOST_CHARACTERS, []
    for name in chosen:
        here = known.get(name)
        head = here.text if here and here.text and left > 0 else None
        copies = [_copy(row, head, known.get(row["id"]), own) for row in shown[name]]
        excerpt = None if head is None else cut(head, EXCERPT)
        left -= len(excerpt or "") + sum(len(part) for copy in copies for part, _ in (*copy.here, *copy.there))
        source_id = here.source_id if here and own else ""
        size, lowest = len(folded[name]) + 1, _lowest(folded[name])
        found.append(Cluster(name, source_id, excerpt, copies, size, lowest))
    return found


def _least_alike(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (_similarity(row) or 2.0, row["source_id"] or "", row["id"]))


def _known(shown: dict[str, list[dict[str, Any]]], reader: Reader) -> dict[str, Shown]:
    """The rows of all shown clusters as they stood before their stage."""
    wanted: dict[int, set[str]] = defaultdict(set)
    for name, rows in shown.items():
        for row in rows:
            wanted[row["place"]] |= {name, row["id"]}
    found: dict[str, Shown] = {}
    for place, ids in sorted(wanted.items()):
        found |= reader.before(place, ids)
    return found


def _copy(row: dict[str, Any], here: str | None, other: Shown | None, own: bool) -> Copy:
    source_id = (other.source_id if other else row["source_id"]) if own else ""
    alike = _similarity(row)
    if alike is None or here is None or other is None or other.text is None:
        return Copy(row["id"], source_id, row["rule"], alike)
    sides = side_by_side(_plain(here), _plain(other.text), context=CONTEXT, limit=EXCERPT)
    return Copy(row["id"], source_id, row["rule"], alike, *sides)


def _plain(text: str) -> str:
    """The text with control characters replaced and blanks as one."""
    return " ".join(cut(text, len(text)).split())
