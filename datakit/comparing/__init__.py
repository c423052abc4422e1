"""`compare`: what is in one dataset and not in the other, and why; which settings differ; how far the rows shifted.

    rows       in both, in one alone, of those in both the ones whose text differs
    reasons    a row of A that B lacks was dropped in B by a rule, or its document was, or nothing was made of it there,
               or it was not in the file any more, or the file was not read; and the same the other way round
    settings   stage by stage, field by field, defaults filled in
    funnel     the stages of both in one order, rows in and out
    shifts     lengths, signals, languages, tasks, sources: a distance from 0 to 1 and a word for it

Two versions of one name or two pipelines that have nothing in common: rows are the same if their ids are, and an id is
a hash of source and content. Compared is the last stage with text that both have the kind of. Reads id columns and
sidecars whole, text once for lengths and digests (shards that both have, not at all); holds about 150 bytes a row.
"""

from __future__ import annotations

from typing import Any

from datakit.comparing.blame import blame
from datakit.comparing.recipes import funnels, settings
from datakit.comparing.rows import Side, changed, reasons, sides
from datakit.comparing.shifts import shifts_of
from datakit.manifests import DatasetManifest
from datakit.store import Store

__all__ = ["blame", "compare"]


def compare(one: DatasetManifest, other: DatasetManifest, store: Store) -> dict[str, Any]:
    """Everything that differs between two dataset versions, as plain values; never text of a row."""
    import pyarrow.compute as pc

    a, b = sides(one, other, store)
    both = pc.sum(pc.is_in(a.rows.column("id"), b.ids)).as_py() or 0
    return {
        "a": _named(one, a),
        "b": _named(other, b),
        "same": one.digest == other.digest,
        "rows": {
            "both": both,
            "changed": changed(a, b),
            "only_a": a.rows.num_rows - both,
            "only_b": b.rows.num_rows - both,
        },
        "only_a": reasons(a, b),
        "only_b": reasons(b, a),
        "settings": settings(one.recipe, other.recipe),
        "funnel": funnels(one.stages, other.stages),
        "shifts": shifts_of(a, b),
    }


def _named(manifest: DatasetManifest, side: Side) -> dict[str, Any]:
    return {
        "dataset": manifest.ref,
        "kind": manifest.kind,
        "rows": manifest.rows,
        "digest": manifest.digest,
        "compared": side.kind,
        "compared_rows": side.rows.num_rows,
        "stage": side.stage,
    }
