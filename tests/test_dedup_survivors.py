"""Which copy stays, what `annotate` writes, and the alarm on large clusters."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow as pa
import pytest

from datakit.corpus import StoredCorpus, StoredOutbox, StoredShard
from datakit.errors import ConfigError
from datakit.executors import Serial
from datakit.outcome import StageStats
from datakit.runner import apply
from datakit.schemas import table_from_rows
from datakit.stage import Env
from datakit.stages.dedup import Dedup
from datakit.stages.dedup.answers import CLUSTER, SIMILARITY, SIZE
from datakit.stages.dedup.survivors import rank
from datakit.store import Store

KOREAN = (
    "지난달에 산 무선 청소기가 충전이 되지 않아 서비스 센터에 전화했더니 상담원이 전원 단자를 마른 천으로 닦아 보라고 "
    "했다. 시키는 대로 했지만 불이 들어오지 않아서 결국 택배로 보냈고, 닷새 뒤에 새 배터리를 끼운 제품이 돌아왔다."
)
NEAR = KOREAN.replace("닷새", "엿새")
OTHER = "오늘은 텃밭에 상추를 심고 물을 주었다. 저녁에는 비가 온다고 하니 내일은 쉬어도 되겠다."


def rows(*texts: str, **columns: list[Any]) -> list[dict[str, Any]]:
    return [
        {"id": f"r{n}", "source_id": str(n), "text": text, "source": "a", "position": n}
        | {name.replace("__", "."): values[n] for name, values in columns.items()}
        for n, text in enumerate(texts)
    ]


def kept(given: Any, **choices: Any) -> list[str]:
    return apply(Dedup(**choices), given).rows.column("id").to_pylist()


def test_longest_keeps_the_most_characters_then_the_first() -> None:
    assert kept(rows(KOREAN, KOREAN + " 끝.", NEAR + " 끝."), keep="longest") == ["r1"]


def test_best_keeps_the_highest_score_and_a_row_without_one_comes_last() -> None:
    scored = rows(KOREAN, NEAR, KOREAN, KOREAN, quality__score=[None, 0.5, 0.75, 0.75])
    assert kept(scored, keep="best") == ["r2"]
    assert kept(rows(KOREAN, NEAR, source__votes=[3, 11]), keep="best", by="source.votes") == ["r1"]
    assert kept(rows(KOREAN, NEAR, quality__score=[None, None]), keep="best") == ["r0"]


def test_best_without_scores_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"quality.score") as told:
        kept(rows(KOREAN, NEAR), keep="best")
    assert "quality" in told.value.fix


@pytest.mark.parametrize(
    "dates",
    [
        ["2021-03-05", "2020-12-31T23:59:59+09:00", None],
        ["2021. 3. 5.", "2021년 3월 4일", "모름"],
        ["2021", "2020-11", "2022.01.01"],
        [1614902400, 1609459199.5, None],
        [dt.date(2021, 3, 5), dt.date(2020, 12, 31), None],
        [dt.datetime(2021, 3, 5, 1), dt.datetime(2021, 3, 5, 0), dt.datetime(2021, 3, 6)],
    ],
)
def test_oldest_keeps_the_earliest_date_however_it_is_written(dates: list[Any]) -> None:
    assert kept(rows(KOREAN, NEAR, KOREAN, source__date=dates), keep="oldest", by="source.date") == ["r1"]


def test_oldest_ties_and_rows_without_a_date_are_ordered_like_first() -> None:
    assert kept(rows(KOREAN, NEAR, source__date=["언젠가", None]), keep="oldest", by="source.date") == ["r0"]
    assert kept(rows(KOREAN, NEAR, source__date=["2021", "2021-01-01"]), keep="oldest", by="source.date") == ["r0"]


def test_rank_shard_without_the_column_comes_last() -> None:
    told = rank(pa.table({"other": [1, 2]}), {"keep": "oldest", "by": "date"})
    assert told.column("rank").to_pylist() == [float("inf")] * 2


def test_oldest_any_cut_of_shards_is_the_same() -> None:
    dated = rows(KOREAN, NEAR, KOREAN.upper(), OTHER, source__date=["2021", "2019", "2020", "2022"])
    assert kept([dated[2:], dated[:2]], keep="oldest", by="source.date") == ["r3", "r1"]


def test_annotate_keeps_every_row_and_names_the_one_that_would_stay() -> None:
    given = rows(OTHER, KOREAN, NEAR, KOREAN.upper(), "")
    found = apply(Dedup(mode="annotate"), given)
    removed = apply(Dedup(), given)
    assert (found.stats.kept, found.stats.folded, found.drops.num_rows) == (5, 0, 0)
    assert found.rows.column(CLUSTER).to_pylist() == ["r0", "r1", "r1", "r1", "r4"]
    assert found.rows.column(SIZE).to_pylist() == [1, 3, 3, 3, 1]
    likeness = found.rows.column(SIMILARITY).to_pylist()
    assert [likeness[n] for n in (0, 1, 3, 4)] == [1.0] * 4
    value = {drop["id"]: float(drop["value"]) for drop in removed.drops.to_pylist()}["r2"]
    assert likeness[2] == pytest.approx(value, abs=1e-6)
    assert found.notes["clusters"] == removed.notes["clusters"]


def test_annotate_twice_replaces_its_columns_and_any_cut_is_the_same() -> None:
    given = rows(OTHER, KOREAN, NEAR, KOREAN)
    whole = apply(Dedup(mode="annotate"), given).rows
    assert apply(Dedup(mode="annotate"), whole).rows.equals(whole)
    assert apply(Dedup(mode="annotate"), [given[:2], given[2:]]).rows.equals(whole)


def told_by(stage: Dedup, given: list[dict[str, Any]], folder: Any) -> tuple[list[str], dict[str, Any]]:
    store, lines = Store(folder).prepare(), []
    record = store.put_shard(table_from_rows(given, "document"), "document")
    shard = StoredShard(record.key, record.rows, "", store)
    out = StoredOutbox(store, Serial(), stage, False, StageStats(rows_in=record.rows))
    stage.run(StoredCorpus(store, Serial(), "document", Env(tell=lines.append), [shard]), out)
    return [line for line in lines if not line.startswith("compiling")], out.notes


def test_alarm_tells_clusters_that_are_too_large_by_id_and_never_text(tmp_path: Any) -> None:
    given = rows(*[KOREAN] * 7, NEAR, *[OTHER] * 2)
    lines, notes = told_by(Dedup(alarm=7), given, tmp_path)
    assert notes["alarm"] == {
        "limit": 7, "clusters": 1, "rows": 8, "share": 0.8, "largest": [{"kept": "r0", "size": 8}],
    }  # fmt: skip
    assert len(lines) == 1
    assert "80.0%" in lines[0]
    assert "r0" in lines[0]
    assert not {word for word in KOREAN.split() if word in lines[0] + json.dumps(notes, ensure_ascii=False)}
    quiet, notes = told_by(Dedup(alarm=8), given, tmp_path)
    assert quiet == []
    assert "alarm" not in notes
