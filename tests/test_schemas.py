"""Rows as columns and as views: nothing changes on the way there and back."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.schemas import (
    KINDS,
    TEXT_JOINT,
    concat,
    documents,
    examples,
    kind_of,
    map_texts,
    row_id,
    schema_of,
    table_from_rows,
    text_view,
)  # fmt: skip
from datakit.work import as_batch

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize("kind", KINDS)
def test_kind_of_a_schema_is_found_again(kind: str) -> None:
    assert kind_of(schema_of(kind)) == kind


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_text_view_of_documents_is_their_text(texts: list[str]) -> None:
    batch = as_batch(table_from_rows([{"id": str(n), "text": t} for n, t in enumerate(texts)], "document"))
    assert text_view(batch).to_pylist() == texts
    assert [doc.text for doc in documents(batch)] == texts


@given(st.lists(st.lists(TEXTS, max_size=4), min_size=1, max_size=6), st.integers(0, 3))
def test_text_view_of_examples_joins_their_messages(rows: list[list[str]], cut: int) -> None:
    table = table_from_rows(
        [{"id": str(n), "messages": [{"role": "user", "content": t} for t in row]} for n, row in enumerate(rows)],
        "example",
    )
    batch = as_batch(table).slice(min(cut, len(rows)))
    assert text_view(batch).to_pylist() == [TEXT_JOINT.join(row) for row in rows[cut:]]
    assert [[m.content for m in e.messages] for e in examples(batch)] == rows[cut:]


@given(st.lists(TEXTS, min_size=2, max_size=5))
def test_map_texts_touches_every_text_and_nothing_else(texts: list[str]) -> None:
    turns = [{"role": "user", "content": t, "weight": 0.5} for t in texts]
    batch = as_batch(table_from_rows([{"id": "a", "messages": turns, "chosen": turns[:1]}], "example"))
    mapped = map_texts(batch, lambda rows: [[text + "!" for text in row] for row in rows])
    assert [t["content"] for t in mapped.column("messages")[0].as_py()] == [t + "!" for t in texts]
    assert [t["content"] for t in mapped.column("chosen")[0].as_py()] == [texts[0] + "!"]
    assert mapped.drop_columns(["messages", "chosen"]).equals(batch.drop_columns(["messages", "chosen"]))


def test_map_texts_by_identity_is_identity() -> None:
    rows = [{"id": "a", "text": "한글 텍스트"}, {"id": "b", "text": ""}]
    batch = as_batch(table_from_rows(rows, "document"))
    assert map_texts(batch, lambda texts: texts).equals(batch)


def test_row_id_tells_apart_source_content_and_occurrence() -> None:
    ids = {row_id(*args) for args in (("a", "bc", 0), ("ab", "c", 0), ("a", "bc", 1), ("a", "bd", 0))}
    assert len(ids) == 4
    assert row_id("a", "bc", 0) == row_id("a", b"bc")


def test_table_from_rows_keeps_extra_columns() -> None:
    table = table_from_rows([{"id": "1", "text": "x", "source.rating": 5}], "document")
    assert table.column("source.rating").to_pylist() == [5]
    assert table.schema.field("text").type == pa.large_string()


def test_concat_widens_what_files_disagree_about() -> None:
    tables = [
        table_from_rows([{"id": "1", "text": "a", "source.grade": 5}], "document"),
        table_from_rows([{"id": "2", "text": "b", "source.grade": "다섯"}], "document"),
        table_from_rows([{"id": "3", "text": "c"}], "document"),
    ]
    assert concat(tables).column("source.grade").to_pylist() == ["5", "다섯", None]
    assert concat(tables[:1] + tables[2:]).column("source.grade").to_pylist() == [5, None]


def test_text_view_survives_a_message_without_content() -> None:
    turns = [{"role": "assistant", "content": None}, {"role": "tool", "content": "12도"}]
    batch = as_batch(table_from_rows([{"id": "a", "messages": turns}], "example"))
    assert text_view(batch).to_pylist() == [TEXT_JOINT + "12도"]
