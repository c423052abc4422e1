"""kernels/filling.py: many skeletons filled at once, held to `Skeleton.fill` and `str.strip`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.characters import buffers
from datakit.kernels.filling import blank, filled
from datakit.stages.template.batches import _Skeletons
from datakit.stages.template.skeletons import Skeleton

CONTENTS = st.text(st.sampled_from("가ㅋ a\n\t\x1c\x85\u3000\u2028é🙂\u200b뷁"), max_size=12) | st.text(
    st.characters(codec="utf-8"), max_size=8
)
LITERALS = st.text(st.sampled_from("<|im_start|> 사용자\n🙂"), max_size=8)


@st.composite
def skeletons(draw: Any) -> Skeleton:
    turns = draw(st.permutations(range(draw(st.integers(1, 4)))))
    parts: list[Any] = [draw(LITERALS)]
    for turn in turns:
        parts += [(turn, draw(st.booleans())), draw(LITERALS)]
    places = {part[0]: n for n, part in enumerate(parts) if isinstance(part, tuple)}
    reach = {n: (len(parts[place - 1]) // 2, len(parts[place + 1]) // 2) for n, place in places.items()}
    return Skeleton(parts, reach)


def run(kinds: list[Skeleton], chosen: list[int], told: list[list[str]]) -> list[tuple[str, Any, Any]]:
    arrays = _Skeletons()
    for one in kinds:
        order = [part[0] for part in one.parts if isinstance(part, tuple)]
        arrays.add(one, [(n, *one.answers[n][:1], n, one.answers[n][1]) for n in order] + [(-1, 0, -1, 0)])
    heads = np.cumsum([0, *map(len, told)])[:-1]
    flat = pa.array([text for row in told for text in row], pa.large_string())
    texts, data, rows, contents, spans, trained = filled(
        *buffers(flat), heads.astype(np.int64), np.array(chosen, np.int64), *arrays.told()
    )
    return [
        (
            bytes(data[texts[n] : texts[n + 1]]).decode(),
            list(map(tuple, contents[rows[n] : rows[n + 1]].tolist())),
            list(map(tuple, trained[spans[n] : spans[n + 1]].tolist())),
        )
        for n in range(len(told))
    ]


@settings(max_examples=150, deadline=None)
@given(kinds=st.lists(skeletons(), min_size=1, max_size=3), data=st.data())
def test_filled_any_skeletons_and_contents_equal_fill(kinds: list[Skeleton], data: Any) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(kinds) - 1), min_size=1, max_size=4))
    told = [data.draw(st.lists(CONTENTS, min_size=n, max_size=n)) for n in (len(kinds[k].answers) for k in chosen)]
    for (text, contents, trained), kind, row in zip(run(kinds, chosen, told), chosen, told, strict=True):
        wanted = kinds[kind].fill(row)
        assert (text, contents) == (wanted.text, wanted.contents)
        order = [part[0] for part in kinds[kind].parts if isinstance(part, tuple)]
        assert trained == [*(wanted.answers[n] for n in order), (0, len(text))]


def test_filled_notices_what_is_trimmed() -> None:
    """The planted breach: the same skeleton that does not trim gives another text and other spans."""
    row = ["\u3000가나\x1c"]
    bare, trimmed = (run([Skeleton(["<", (0, trim), ">"], {0: (0, 1)})], [0], [row])[0] for trim in (False, True))
    assert trimmed == ("<가나>", [(1, 3)], [(1, 4), (0, 4)])
    assert bare == ("<\u3000가나\x1c>", [(1, 5)], [(1, 6), (0, 6)])


@settings(deadline=None)
@given(st.lists(CONTENTS, max_size=6))
def test_blank_is_what_strip_leaves_nothing_of(texts: list[str]) -> None:
    assert blank(*buffers(pa.array(texts, pa.large_string()))).tolist() == [not text.strip() for text in texts]
