"""Plain conversations of a batch, rendered all at once: what a row alone would get, without a Python object a row.

A row is plain if its turns have nothing but roles and contents (no tools, calls, weights besides 1, second answer) and
no content is blank. Rows with the same roles share a build; where the chat template has a skeleton for it, the kernel
writes their texts. All others are rendered one by one, as ever. Cost: 2 microseconds a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datakit.outcome import Outcome
from datakit.schemas import Message, replace_column
from datakit.stages.template.rows import CONTENTS
from datakit.stages.template.skeletons import Skeleton

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_ROLES = ("system", "user", "assistant", "tool")
_JOINT = " "
Learned = tuple[int, int, int, int]
"""(turn, characters before its content, turn, characters behind its content); turn -1: where the whole text ends."""


@dataclass(frozen=True, slots=True)
class Filled:
    """The rows that are done, and the columns `template` gives them."""

    rows: np.ndarray
    """Whether a row of the batch is done."""
    columns: dict[str, pa.Array]
    """One value for each row that is done."""

    def done(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that are done, with their columns."""
        import pyarrow as pa

        rows = batch if self.rows.all() else batch.filter(pa.array(self.rows))
        for name, column in self.columns.items():
            rows = replace_column(rows, name, column)
        return rows

    def rest(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The other rows."""
        import pyarrow as pa

        return batch.filter(pa.array(~self.rows))

    def among(self, batch: pa.RecordBatch, others: Outcome, kept: Sequence[bool]) -> Outcome:
        """The Outcome of all rows in their order. `others`: that of the rest, of which it kept those in `kept`."""
        import numpy as np
        import pyarrow as pa

        places = np.concatenate([np.flatnonzero(self.rows), np.flatnonzero(~self.rows)[np.array(kept, bool)]])
        both = pa.concat_tables(
            [pa.Table.from_batches([self.done(batch)]), pa.Table.from_batches([others.kept])], promote_options="default"
        )
        others.kept = both.combine_chunks().take(pa.array(np.argsort(places, kind="stable")))
        return others


def plain_learned(roles: Sequence[str], skeleton: Skeleton, train_on: str) -> list[Learned]:
    """What is learned of a row of a build, none of whose contents is blank."""
    answers = [n for n, role in enumerate(roles) if role == "assistant"]
    if not answers:
        return []
    if train_on == "all":
        return [(-1, 0, -1, 0)]
    if train_on == "completion":
        last = max((n for n, role in enumerate(roles) if role == "user"), default=-1)
        first = next((n for n in answers if n > last), answers[-1])
        return [(first, skeleton.answers[first][0], -1, 0)]
    chosen = set(answers[-1:] if train_on == "last" else answers)
    order = [part[0] for part in skeleton.parts if isinstance(part, tuple)]
    return [(n, skeleton.answers[n][0], n, skeleton.answers[n][1]) for n in order if n in chosen]


class PlainRows:
    """Renders the plain rows of batches."""

    def __init__(self, skeleton: Callable[[list[Message]], Skeleton | None], train_on: str) -> None:
        self._skeleton = skeleton
        self._train_on = train_on

    def filled(self, batch: pa.RecordBatch) -> Filled | None:
        """The rows that could be rendered at once; None for none."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from datakit.kernels.characters import buffers
        from datakit.kernels.filling import filled

        talks = batch.column("messages")
        sizes = pc.fill_null(pc.list_value_length(talks), pa.scalar(0, pa.int64())).to_numpy(zero_copy_only=False)
        heads, turns = np.cumsum(sizes) - sizes, talks.flatten()
        roles, contents = (pc.fill_null(turns.field(name), "") for name in ("role", "content"))
        plain = _plain_turns(turns, roles, contents)
        odd = np.concatenate([[0], np.cumsum(~plain)])
        rows = (sizes > 0) & (odd[heads + sizes] == odd[heads]) & _plain_rows(batch)
        if not rows.any():
            return None
        offsets = pa.array(np.concatenate([heads, [len(turns)]]))
        joined = pc.binary_join(pa.LargeListArray.from_arrays(offsets, roles), pa.scalar(_JOINT, pa.large_string()))
        kinds = joined.dictionary_encode()
        build_of = kinds.indices.to_numpy(zero_copy_only=False)
        arrays = _Skeletons()
        numbers = np.full(len(kinds.dictionary), -1, np.int64)
        for build, names in enumerate(kinds.dictionary.to_pylist()):
            same = np.flatnonzero(rows & (build_of == build))
            if len(same):
                first = slice(int(heads[same[0]]), int(heads[same[0]] + sizes[same[0]]))
                numbers[build] = self._add(arrays, names.split(_JOINT), contents[first].to_pylist())
        rows &= numbers[build_of] >= 0
        if not rows.any():
            return None
        made = filled(*buffers(contents), heads[rows], numbers[build_of[rows]], *arrays.told())
        text = pa.LargeStringArray.from_buffers(len(made[0]) - 1, *map(pa.py_buffer, made[:2]))
        columns = {"text": text, "trained": _spans(made[4], made[5]), CONTENTS: _spans(made[2], made[3])}
        return Filled(rows, columns)

    def _add(self, arrays: _Skeletons, roles: list[str], contents: list[str]) -> int:
        """The number of a build's skeleton in the arrays, told by one row of it; -1 if it has none."""
        if "assistant" not in roles:
            return -1
        found = self._skeleton([Message(*turn) for turn in zip(roles, contents, strict=True)])
        return -1 if found is None else arrays.add(found, plain_learned(roles, found, self._train_on))


def _plain_turns(turns: pa.StructArray, roles: pa.Array, contents: pa.Array) -> np.ndarray:
    """Which turns have nothing but a known role and a content that is not blank."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from datakit.kernels.characters import buffers
    from datakit.kernels.filling import blank

    found = ~blank(*buffers(contents))
    found &= np.asarray(pc.is_in(roles, pa.array(_ROLES, pa.large_string())))
    names = {field.name for field in turns.type}
    if "more" in names:
        found &= np.asarray(pc.is_null(turns.field("more")))
    if "weight" in names:
        found &= np.asarray(pc.fill_null(pc.equal(turns.field("weight"), 1), True))
    return np.asarray(found)


def _plain_rows(batch: pa.RecordBatch) -> np.ndarray:
    """Which rows have no tools and no second answer."""
    import numpy as np
    import pyarrow.compute as pc

    found = np.asarray(pc.is_null(batch.column("tools")))
    for name in ("chosen", "rejected"):
        if name in batch.schema.names:
            found = found & ~np.asarray(pc.fill_null(pc.greater(pc.list_value_length(batch.column(name)), 0), False))
    return np.asarray(found)


def _spans(rows: np.ndarray, pairs: np.ndarray) -> pa.Array:
    """Lists of {start, end}."""
    import numpy as np
    import pyarrow as pa

    from datakit.schemas import rendered_fields

    kind = rendered_fields()[1].type
    sides = [pa.array(np.ascontiguousarray(pairs[:, side])) for side in (0, 1)]
    structs = pa.StructArray.from_arrays(sides, fields=list(kind.value_type))
    return pa.LargeListArray.from_arrays(pa.array(rows), structs, type=kind)


class _Skeletons:
    """Skeletons as the arrays that kernels/filling.py reads."""

    def __init__(self) -> None:
        self._parts, self._spans, self._borders = [0], [0], [0]
        self._turns: list[int] = []
        self._trims: list[bool] = []
        self._literals: list[bytes] = []
        self._learned: list[Learned] = []

    def add(self, skeleton: Skeleton, learned: Sequence[Learned]) -> int:
        """Take one in; returns its number."""
        for part in skeleton.parts:
            turn, trim, raw = (*part, b"") if isinstance(part, tuple) else (-1, False, part.encode())
            self._turns.append(turn)
            self._trims.append(trim)
            self._literals.append(raw)
            self._borders.append(self._borders[-1] + len(raw))
        self._learned += learned
        self._parts.append(len(self._turns))
        self._spans.append(len(self._learned))
        return len(self._parts) - 2

    def told(self) -> tuple[Any, ...]:
        """The arrays, in the kernel's order."""
        import numpy as np

        parts, turns, borders, spans = (
            np.array(one, np.int64) for one in (self._parts, self._turns, self._borders, self._spans)
        )
        literals = np.frombuffer(b"".join(self._literals), np.uint8)
        learned = np.array(self._learned, np.int64).reshape(-1, 4)
        return parts, turns, np.array(self._trims, np.bool_), borders, literals, spans, learned
