"""One shard with its repeated passages cut out, or only told, and the rows of which too little is left dropped.

passages.cut       characters cut from the row (or, only told, repeated in it)
passages.kept_by   ids of the rows that keep them, the one that keeps most first
passages.spans     only told: where they stand, in characters
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datakit.outcome import Drop, Outcome, drops_table

if TYPE_CHECKING:
    import pyarrow as pa

CUT, KEPT_BY, SPANS = "passages.cut", "passages.kept_by", "passages.spans"


def cut_shard(table: pa.Table, settings: dict[str, Any]) -> Outcome:
    """The rows of a shard after the cuts. Settings: mode, min_left, and by row of the shard `spans`, `kept_by`, and
    `left` of the rows that go."""
    spans: dict[int, list[tuple[int, int]]] = settings["spans"]
    texts = dict(zip(spans, _taken(table, list(spans)).column("text").to_pylist(), strict=True))
    if settings["mode"] == "annotate":
        return Outcome(_told(table, texts, settings), None, counters=_counted(texts, spans))
    after = {row: without(texts[row], spans[row]) for row in spans}
    lost = {row: len(texts[row]) - len(after[row]) for row in spans}
    rows = _with_texts(_with_columns(table, lost, settings["kept_by"]), after)
    return _without_rows(rows, settings, _counted(texts, spans))


def without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text without some spans of bytes. Of the white space on both sides the one with more line breaks stays."""
    data = text.encode()
    kept, begin = "", 0
    for start, end in spans:
        kept += data[begin:start].decode()
        gap = data[start:end].decode()
        tail, other = kept[len(kept.rstrip()) :], gap[len(gap.rstrip()) :]
        if end == len(data) or (kept and other.count("\n") > tail.count("\n")):
            kept = kept.rstrip() + other
        begin = end
    return kept + data[begin:].decode()


def _counted(texts: dict[int, str], spans: dict[int, Any]) -> Counter[str]:
    characters = sum(len(texts[row].encode()[s:e].decode()) for row, found in spans.items() for s, e in found)
    return Counter({"rows": len(spans), "passages": sum(map(len, spans.values())), "characters": characters})


def _told(table: pa.Table, texts: dict[int, str], settings: dict[str, Any]) -> pa.Table:
    """The rows as they came, with columns that tell what is repeated."""
    import pyarrow as pa

    spot = pa.large_list(pa.struct([("start", pa.int64()), ("end", pa.int64())]))
    places = {row: _in_characters(texts[row], found) for row, found in settings["spans"].items()}
    lost = {row: sum(end - start for start, end in found) for row, found in places.items()}
    bare = table.drop_columns([name for name in (CUT, KEPT_BY, SPANS) if name in table.schema.names])
    told = _with_columns(bare, lost, settings["kept_by"])
    spelled = [[{"start": s, "end": e} for s, e in places.get(row, [])] for row in range(table.num_rows)]
    return told.append_column(SPANS, pa.array(spelled, spot))


def _in_characters(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    data = text.encode()
    return [(len(data[:start].decode()), len(data[:end].decode())) for start, end in spans]


def _with_columns(table: pa.Table, lost: dict[int, int], kept_by: dict[int, list[str]]) -> pa.Table:
    """Add what was cut to what an earlier pass cut."""
    import pyarrow as pa

    size, ids = table.num_rows, pa.large_list(pa.large_string())
    cut = table.column(CUT).to_pylist() if CUT in table.schema.names else [0] * size
    keepers = table.column(KEPT_BY).to_pylist() if KEPT_BY in table.schema.names else [[] for _ in range(size)]
    for row, characters in lost.items():
        cut[row] = (cut[row] or 0) + characters
        keepers[row] = list(dict.fromkeys([*(keepers[row] or []), *kept_by[row]]))
    return _replaced(_replaced(table, CUT, pa.array(cut, pa.int64())), KEPT_BY, pa.array(keepers, ids))


def _replaced(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    if name in table.schema.names:
        return table.set_column(table.schema.get_field_index(name), name, column)
    return table.append_column(name, column)


def _taken(table: pa.Table, rows: list[int]) -> pa.Table:
    import pyarrow as pa

    return table.take(pa.array(rows, pa.int64()))


def _with_texts(table: pa.Table, texts: dict[int, str]) -> pa.Table:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = np.zeros(table.num_rows, np.bool_)
    mask[list(texts)] = True
    ordered = pa.array([texts[row] for row in sorted(texts)], pa.large_string())
    whole = table.column("text").combine_chunks()
    return _replaced(table, "text", pc.replace_with_mask(whole, pa.array(mask), ordered))


def _without_rows(table: pa.Table, settings: dict[str, Any], counters: Counter[str]) -> Outcome:
    """Drop the rows of which too little is left."""
    import numpy as np

    gone: dict[int, float] = settings["gone"]
    keep = np.ones(table.num_rows, np.bool_)
    keep[list(gone)] = False
    told = _taken(table.select(["id", "source_id"]), list(gone)).to_pylist()
    drops = [
        (row["id"], row["source_id"], Drop("little_left", left, settings["min_left"], settings["kept_by"][place][0]))
        for row, (place, left) in zip(told, gone.items(), strict=True)
    ]
    return Outcome(table.filter(keep), drops_table(drops), counters=counters)
