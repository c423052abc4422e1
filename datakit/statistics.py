"""`datakit stats`: tokens by source, language, split and role; what is learned; lengths; what each seq_len would lose.

Read from the rows that left `tokenize` (before `pack` dropped or cut any); where there are no tokens, characters are
told instead. `frames` gives the same as pandas frames, a line a row. Tokens of a role are its share of a row's
characters, since a token may hold the end of one message and the beginning of the template.

Cost: one pass over the token shards, the id, source and messages columns of the rows before them; about 200 bytes a
row in memory, no text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from datakit.manifests import DatasetManifest, ShardRecord, StageReport
from datakit.readable import TEXT_KINDS
from datakit.schemas import IGNORED
from datakit.store import Store

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

Choose = Callable[[Sequence[ShardRecord]], Sequence[ShardRecord]]
PERCENTILES = (1, 5, 25, 50, 75, 90, 95, 99, 99.9)
SEQ_LENS = tuple(2**power for power in range(7, 18))
"""Lengths of a pack that are tried: 128 to 131,072."""
TOLERATED = 0.001
"""Most tokens that the suggested seq_len may lose, as a share: packing at a longer one costs attention and memory for
rows that hardly exist, at a shorter one it starts to choose for the user which long rows count."""


def stats(manifest: DatasetManifest, store: Store, choose: Choose = list) -> dict[str, Any]:
    """All figures, as JSON values; `choose` picks the shards to look at."""
    found = frames(manifest, store, choose)
    rows, roles = found["rows"], found["roles"]
    unit = "tokens" if "trained" in rows else "characters"
    told: dict[str, Any] = {
        "dataset": manifest.ref,
        "unit": unit,
        "rows": len(rows),
        unit: int(rows["size"].sum()),
        "by": {name: _grouped(rows, name) for name in ("split", "lang", "source")},
        "lengths": _lengths(rows["size"].to_numpy()),
    }
    told["by"]["role"] = _roles(rows, roles)
    if unit == "tokens":
        trained = int(rows["trained"].sum())
        table = seq_lens(rows["size"].to_numpy())
        told |= {"trained_tokens": trained, "trained_share": _share(trained, told["tokens"])}
        told |= {"seq_len": table, "suggested_seq_len": suggested(table)}
        told["fertility"] = manifest.note("tokenize").get("fertility") or {}
    return told


def frames(manifest: DatasetManifest, store: Store, choose: Choose = list) -> dict[str, pd.DataFrame]:
    """`rows`: id, source, lang, split, size (tokens, else characters), trained; `roles`: id, role, characters."""
    import pandas as pd

    texts = _last(manifest, TEXT_KINDS)
    tokens = _last(manifest, ("tokens",))
    told = [_told(store, shard) for shard in (choose(store.shards_of(texts)) if texts else ())]
    sources = _joined([rows for rows, _ in told], ("id", "source", "lang", "split", "size"))
    roles = _joined([roles for _, roles in told], ("id", "role", "characters"))
    if tokens is None:
        return {"rows": sources, "roles": roles}
    rows = _joined([_counted(store, shard) for shard in choose(store.shards_of(tokens))], ("id", "size", "trained"))
    # A row that `tokenize` cut into pieces has the ids x, x#2, x#3.
    rows["root"] = rows["id"].str.split("#", n=1).str[0]
    origin = sources.drop_duplicates("id").set_index("id")["source"]
    rows["source"] = rows.pop("root").map(origin)
    return {"rows": pd.DataFrame(rows), "roles": roles}


def seq_lens(sizes: np.ndarray) -> list[dict[str, Any]]:
    """For every length of a pack up to the longest row: what is lost by dropping long rows or by cutting them off, and
    the packs and fill that best-fit decreasing gives if they are dropped."""
    import numpy as np

    from datakit.kernels.packing import best_fit

    total, longest, found = int(sizes.sum()), int(sizes.max(initial=0)), []
    for seq_len in SEQ_LENS if total else ():
        over = sizes > seq_len
        short = sizes[~over].astype(np.int32)
        packs = int(best_fit(short, seq_len).max(initial=-1)) + 1
        found.append(
            {
                "seq_len": seq_len,
                "rows_over": int(over.sum()),
                "lost_if_dropped": _share(int(sizes[over].sum()), total),
                "lost_if_cut_off": _share(int((sizes[over] - seq_len).sum()), total),
                "packs": packs,
                "fill": _share(int(short.sum(dtype=np.int64)), packs * seq_len),
            }
        )
        if seq_len >= longest:
            break
    return found


def suggested(table: Sequence[dict[str, Any]]) -> int | None:
    """The shortest pack that loses at most `TOLERATED` of the tokens, None if none does."""
    return next((line["seq_len"] for line in table if line["lost_if_dropped"] <= TOLERATED), None)


def _last(manifest: DatasetManifest, kinds: Sequence[str]) -> StageReport | None:
    """The last stage that gave rows of these kinds and left them in the store."""
    return next((report for report in reversed(manifest.stages) if report.kind in kinds and report.steps), None)


def _counted(store: Store, shard: ShardRecord) -> pd.DataFrame:
    """A shard of tokens: a line a row, without its tokens. The first token's label teaches nothing."""
    import numpy as np

    table = store.read(shard.key).combine_chunks()
    sizes = table.column("input_ids").combine_chunks().value_lengths().to_numpy()
    learned = table.column("labels").combine_chunks().flatten().to_numpy() != IGNORED
    ends = np.concatenate(([0], np.cumsum(learned)))
    borders = np.concatenate(([0], np.cumsum(sizes)))
    trained = ends[borders[1:]] - ends[borders[:-1]]
    trained -= learned[borders[:-1]] if len(sizes) else 0  # no row is empty
    wanted = [name for name in ("id", "lang", "split") if name in table.column_names]
    return table.select(wanted).to_pandas().assign(size=sizes.astype(np.int64), trained=trained.astype(np.int64))


def _told(store: Store, shard: ShardRecord) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A shard of text: a line a row, and a line a row and role."""
    import pandas as pd
    import pyarrow.compute as pc

    from datakit.schemas import text_view

    there = set(store.columns(shard.key))
    body = "messages" if shard.kind == "example" else "text"
    wanted = [name for name in ("id", "source", "lang", "split", body) if name in there]
    table = store.read(shard.key, wanted).combine_chunks()
    batch = table.to_batches()[0] if table.num_rows else _empty(table)
    rows = table.drop_columns([body]).to_pandas().assign(size=pc.utf8_length(text_view(batch)).to_numpy())
    if body == "text":
        return rows, pd.DataFrame({"id": rows["id"], "role": "document", "characters": rows["size"]})
    turns = batch.column("messages")
    said = pd.DataFrame(
        {
            "id": batch.column("id").take(pc.list_parent_indices(turns)).to_pandas(),
            "role": turns.flatten().field("role").to_pandas(),
            "characters": pc.fill_null(pc.utf8_length(turns.flatten().field("content")), 0).to_pandas(),
        }
    )
    return rows, said.groupby(["id", "role"], as_index=False, sort=False)["characters"].sum()


def _empty(table: pa.Table) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([], table.schema)


def _joined(parts: Sequence[pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    filled = [part for part in parts if len(part)]
    found = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame({name: [] for name in names})
    for name in names:
        if name not in found:
            found[name] = None
    return found.astype({name: "int64" for name in ("size", "trained", "characters") if name in names})


def _grouped(rows: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    """Rows, size and learned tokens by the values of a column, largest first."""
    if name not in rows:
        return []
    keys = rows[name].fillna("train" if name == "split" else "")
    sums = {"rows": ("size", "count"), "size": ("size", "sum")}
    if "trained" in rows:
        sums["trained"] = ("trained", "sum")
    total = int(rows["size"].sum())
    table = rows.groupby(keys).agg(**sums)
    lines: list[dict[str, Any]] = [
        {name: str(key), **{column: int(line[column]) for column in sums}} for key, line in table.iterrows()
    ]
    return sorted(
        ({**line, "share": _share(int(line["size"]), total)} for line in lines),
        key=lambda line: (-int(line["size"]), line[name]),
    )


def _roles(rows: pd.DataFrame, roles: pd.DataFrame) -> list[dict[str, Any]]:
    """Characters of every role, and the tokens that fall to it by its share of each row's characters."""
    if not len(roles):
        return []
    told = roles.copy()
    told["part"] = told["characters"] / told.groupby("id")["characters"].transform("sum").clip(lower=1)
    sizes = rows.assign(id=rows["id"].str.split("#", n=1).str[0]).groupby("id")["size"].sum()
    told["size"] = told["part"] * told["id"].map(sizes).fillna(0)
    sums = told.groupby("role")[["characters", "size"]].sum()
    total = float(sums["size"].sum())
    lines = [
        {
            "role": str(role),
            "characters": int(line["characters"]),
            "size": round(line["size"]),
            "share": _share(line["size"], total),
        }
        for role, line in sums.iterrows()
    ]
    return sorted(lines, key=lambda line: (-int(line["size"]), str(line["role"])))


def _lengths(sizes: np.ndarray) -> dict[str, float]:
    import numpy as np

    if not len(sizes):
        return {}
    cuts = np.percentile(sizes, PERCENTILES, method="higher")
    named = {f"p{cut:g}": int(size) for cut, size in zip(PERCENTILES, cuts, strict=True)}
    return {"mean": round(float(sizes.mean()), 1), "shortest": int(sizes.min()), **named, "longest": int(sizes.max())}


def _share(part: float, whole: float) -> float:
    return round(float(part) / whole, 6) if whole else 0.0
