"""What every stage must hold, over the whole registry: whoever adds a stage adds a case here, or the test fails."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import ValidationError

from datakit.canon import digest_bytes
from datakit.executors import Processes
from datakit.outcome import StageStats
from datakit.registry import names, stage_class
from datakit.runner import Applied, apply
from datakit.schemas import kind_of
from datakit.stage import CorpusStage, RowStage, SinkStage, SourceStage, Stage, fields_of
from datakit.store import parquet_bytes

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "sample_data" / "corpus"
FILES = [str(CORPUS / name) for name in ("tickets_ko.jsonl", "forum_en.jsonl", "reviews_ko.csv", "notes_ko.jsonl")]
IDEMPOTENT = {"normalize", "language", "quality", "dedup", "passages", "semantic", "decontaminate", "pii", "defects"}


@dataclass(frozen=True)
class Given:
    """What a stage gets in the contract: settings and rows."""

    settings: dict[str, Any]
    rows: pa.Table | None


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Callable[[str], Given]:
    """The case of each stage; the rows of one are what the stages before it make of some sample files."""
    folder = tmp_path_factory.mktemp("contract")
    tokenizer = {"tokenizer": str(tiny_llama)}
    verdicts = folder / "verdicts.jsonl"
    verdicts.write_text('{"purpose": "judge", "default": true, "text": "{\\"reason\\": \\"-\\", \\"score\\": 5}"}\n')
    reviews = folder / "reviews.csv"
    reviews.write_text("id,verdict\nnobody,ok\n")
    settings: dict[str, dict[str, Any]] = {
        "ingest": {"files": FILES},
        "normalize": {},
        "language": {"keep": ["ko", "en"]},
        "quality": {},
        "dedup": {},
        "passages": {},
        "semantic": {},
        "decontaminate": {"against": str(ROOT / "sample_data/decontamination.jsonl")},
        "pii": {},
        "synthesize": {"recipe": "mine"},
        "judge": {"teacher": f"replay:{verdicts}"},
        "review": {"file": str(reviews)},
        "select": {"share": 0.6, "by": ["longest", "diverse"]},
        "mix": {"by": "lang", "weights": {"ko": 1, "en": 2}},
        "defects": {},
        "split": {"val": 0.2},
        "template": {"style": "tokenizer", **tokenizer},
        "tokenize": tokenizer,
        "pack": {"seq_len": 512},
        "export": {"format": "jsonl", "path": str(folder / "export")},
    }
    order = [use for use in settings if use != "semantic"]
    made: dict[str, pa.Table] = {}

    def case(use: str) -> Given:
        before = order[max(0, order.index(use) - 1)] if use in order else "normalize"
        if use == "ingest":
            return Given(settings[use], None)
        if use == "export":
            before = "split"
        if before not in made:
            one = case(before)
            made[before] = apply(stage_class(before).model_validate(one.settings), one.rows).rows
        return Given(settings[use], _beginnings(made[before]) if use == "semantic" else made[before])

    return case


def _beginnings(rows: pa.Table) -> pa.Table:
    """Few and short texts: a model reads them, over and over."""
    few = rows.slice(0, 9)
    short = pc.utf8_slice_codeunits(few.column("text"), 0, 24)
    return few.set_column(few.schema.get_field_index("text"), "text", short)


def stage_and_rows(use: str, given: Callable[[str], Given]) -> tuple[Stage, pa.Table | None]:
    case = given(use)
    return stage_class(use).model_validate(case.settings), case.rows


def digest_of(result: Applied) -> str:
    return digest_bytes(parquet_bytes(result.rows) + parquet_bytes(result.drops))


USES = list(names("stage"))
READERS = [use for use in USES if not issubclass(stage_class(use), SourceStage)]


def test_registry_is_not_empty() -> None:
    assert len(USES) >= 14


@pytest.mark.parametrize("use", USES)
def test_stage_is_documented(use: str) -> None:
    cls = stage_class(use)
    assert cls.use == use
    assert (cls.__doc__ or "").strip().endswith((".", ")")) or "\n" in (cls.__doc__ or "")
    for name, info in fields_of(cls).items():
        assert info.description, f"{use}.{name} has no line of help"


@pytest.mark.parametrize("use", USES)
def test_stage_is_a_frozen_value(use: str, given: Callable[[str], Given]) -> None:
    stage, _ = stage_and_rows(use, given)
    assert isinstance(stage, SourceStage | RowStage | CorpusStage | SinkStage)
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert stage_class(use).model_validate(stage.model_dump(mode="json")) == stage
    with pytest.raises(ValidationError):
        stage.id = "other"
    with pytest.raises(ValidationError):
        stage_class(use).model_validate({**given(use).settings, "no_such_setting": 1})


@pytest.mark.parametrize("use", USES)
def test_stage_conserves_rows_and_gives_the_kind_it_says(use: str, given: Callable[[str], Given]) -> None:
    stage, rows = stage_and_rows(use, given)
    result = apply(stage, rows)
    kind = kind_of(rows.schema) if rows is not None else None
    assert StageStats.from_dict(result.reports[-1].stats).conserved
    assert result.rows.num_rows > 0
    assert kind_of(result.rows.schema) == stage.gives(kind)
    assert set(result.drops.column("rule").to_pylist()) <= set(stage.rules)


@pytest.mark.parametrize("use", [use for use in READERS if issubclass(stage_class(use), RowStage)])
@pytest.mark.parametrize("batch_rows", [1, 7])
def test_row_stage_gives_the_same_bytes_for_every_batch_size(
    use: str, batch_rows: int, given: Callable[[str], Given]
) -> None:
    stage, rows = stage_and_rows(use, given)
    assert digest_of(apply(stage, rows, batch_rows=batch_rows)) == digest_of(apply(stage, rows, batch_rows=1000))


@pytest.mark.parametrize("use", READERS)
def test_stage_gives_the_same_bytes_on_every_executor(use: str, given: Callable[[str], Given]) -> None:
    stage, rows = stage_and_rows(use, given)
    assert rows is not None
    shards = [rows.slice(0, rows.num_rows // 2), rows.slice(rows.num_rows // 2)]
    assert digest_of(apply(stage, shards, executor=Processes(2))) == digest_of(apply(stage, shards))


@pytest.mark.parametrize("use", READERS)
def test_stage_does_not_depend_on_how_shards_are_cut(use: str, given: Callable[[str], Given]) -> None:
    stage, rows = stage_and_rows(use, given)
    assert rows is not None
    cut = [rows.slice(0, 3), rows.slice(3, 4), rows.slice(7)]
    assert digest_of(apply(stage, cut)) == digest_of(apply(stage, rows))


@pytest.mark.parametrize("use", sorted(IDEMPOTENT))
def test_cleaning_twice_is_cleaning_once(use: str, given: Callable[[str], Given]) -> None:
    stage, rows = stage_and_rows(use, given)
    once = apply(stage, rows)
    twice = apply(stage, once.rows)
    assert twice.drops.num_rows == 0
    assert twice.rows.equals(once.rows)


@pytest.mark.parametrize("use", READERS)
def test_stage_survives_no_rows_at_all(use: str, given: Callable[[str], Given]) -> None:
    stage, rows = stage_and_rows(use, given)
    assert rows is not None
    result = apply(stage, rows.slice(0, 0))
    assert result.rows.num_rows == 0


@pytest.mark.parametrize("use", USES)
def test_identity_leaves_out_how_it_runs(use: str, given: Callable[[str], Given]) -> None:
    stage, _ = stage_and_rows(use, given)
    named = stage.model_copy(update={"id": "another-name"})
    assert named.keyed_as(0) == stage.keyed_as(0)
    assert str(ROOT) not in str(stage.keyed_as(0))
