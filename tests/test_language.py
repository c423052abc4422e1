"""language: script first, detector second, honest about what it can't tell."""

from __future__ import annotations

from typing import Any

import pytest

from datakit.runner import Applied, apply
from datakit.schemas import table_from_rows
from datakit.stage import Env
from datakit.stages.language import Language
from tests.conftest import ROOT

TEXTS = {
    "ko": [
        "좋아요",
        "배송이 빨라요 good",
        "VS Code에서 C++ extension을 install하세요",
        "ㅋㅋㅋ 웃기다",
        "택배가 아직 안 왔습니다.",
    ],
    "en": [
        "Loved it!!",
        "Battery died after two days.",
        "Great food, will come back!",
        "The word 김치 is Korean for a side dish.",
    ],
    "ja": ["先週注文した商品が届きました", "とても良い"],
    "zh": ["我上周订购的自行车到了", "質量很好"],
    "fr": ["Le produit est arrivé en retard mais il fonctionne bien."],
    "de": ["Die Lieferung kam zu spät und der Karton war beschädigt."],
    "es": ["El pedido llegó roto y nadie responde"],
    "ru": ["Доставка была быстрой, спасибо"],
    "vi": ["Sản phẩm rất tốt, giao hàng nhanh"],
    "und": ["", "12345", "!!!", "ok", "😀😀"],
}
LABELLED = [(lang, text) for lang, texts in TEXTS.items() for text in texts]


def run(texts: list[str], **fields: Any) -> Applied:
    return apply(Language(**fields), [{"text": text} for text in texts])


@pytest.mark.parametrize(("lang", "text"), LABELLED)
def test_language_of_a_known_text_is_found(lang: str, text: str) -> None:
    assert run([text]).rows.column("lang").to_pylist() == [lang]


def test_language_keep_list_drops_others_with_their_language() -> None:
    applied = run([text for _, text in LABELLED], keep=["ko", "en"])
    assert set(applied.rows.column("lang").to_pylist()) == {"ko", "en", "und"}
    assert set(applied.drops.column("rule").to_pylist()) == {"wrong_language"}
    assert set(applied.drops.column("value").to_pylist()) == {"ja", "zh", "fr", "de", "es", "ru", "vi"}
    assert applied.stats.conserved


def test_language_unknown_drop_takes_what_can_not_be_told() -> None:
    applied = run(["12345", "좋아요"], keep=["ko"], unknown="drop")
    assert applied.rows.column("text").to_pylist() == ["좋아요"]


def test_language_without_a_keep_list_keeps_everything() -> None:
    assert run([text for _, text in LABELLED]).rows.num_rows == len(LABELLED)


def test_language_mixed_drop_takes_texts_without_a_main_language() -> None:
    half = (
        "한국어 문장을 여기에 조금 적어 둡니다. "
        + "This is then followed by a rather long sentence in plain English. " * 2
    )
    applied = run([half, "한국어로만 적은 글입니다."], mixed="drop", min_share=0.7)
    assert applied.drops.column("rule").to_pylist() == ["mixed_language"]
    assert run([half], mixed="keep").rows.num_rows == 1


def test_language_min_confidence_makes_the_unsure_unknown() -> None:
    assert run(["Loved it!!"], min_confidence=0.9).rows.column("lang").to_pylist() == ["und"]


def test_language_confidence_is_a_column_between_zero_and_one() -> None:
    column = run([text for _, text in LABELLED]).rows.column("language.confidence")
    assert str(column.type) == "float"
    assert all(0 <= value <= 1 for value in column.to_pylist())


def test_language_control_characters_do_not_stop_the_detector() -> None:
    assert run(["This is\x00 plain\x85 English\ufffe text, really."]).rows.column("lang").to_pylist() == ["en"]


def test_language_of_examples_is_that_of_all_messages() -> None:
    turns = [
        {"role": "user", "content": "Translate: hello"},
        {"role": "assistant", "content": "안녕하세요, 반갑습니다. 잘 지내셨나요?"},
    ]
    applied = apply(Language(), [{"messages": turns}], kind="example")
    assert applied.rows.column("lang").to_pylist() == ["ko"]


def test_language_batches_of_any_size_give_the_same_rows() -> None:
    rows = [{"text": text} for _, text in LABELLED]
    tables = [apply(Language(keep=["ko", "en"]), rows, batch_rows=size).rows.to_pandas() for size in (1, 7, 1000)]
    assert all(table.equals(tables[0]) for table in tables)


LINES = [line.split("\t") for line in (ROOT / "tests/data/languages.tsv").read_text("utf-8").splitlines()]


def test_language_of_hand_written_lines_is_as_right_as_the_table_says() -> None:
    """The table in language.py: 147 of 157, all misses romanised Korean or code but for two."""
    found = run([text for _, _, text in LINES]).rows.column("lang").to_pylist()
    wrong = [(kind, lang, told) for (lang, kind, _), told in zip(LINES, found, strict=True) if told != lang]
    assert len(LINES) >= 150
    assert len(wrong) <= 10
    assert len([one for one in wrong if one[0] not in ("romanised", "code")]) <= 2


@pytest.mark.parametrize("lang", ["ko", "en", "ja", "zh"])
def test_language_of_long_texts_is_surely_right(lang: str) -> None:
    text = "\n".join(text for own, kind, text in LINES if own == lang and kind == "sentence") * 5
    applied = run([text])
    assert applied.rows.column("lang").to_pylist() == [lang]
    assert applied.rows.column("language.confidence")[0].as_py() > 0.75


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("iPhone 15 Pro Max 256GB 팝니다", "ko"),
        ("My favourite Korean drama is 도깨비, and I have watched it twice.", "en"),
        ("Pythonのlist comprehensionは便利です", "ja"),
        ("请在GitHub上提交pull request", "zh"),
        ("民法 제750조 不法行爲의 內容", "ko"),
        ("¯\\_(ツ)_/¯", "und"),
    ],
)
def test_language_of_mixed_text_is_that_of_its_grammar(text: str, lang: str) -> None:
    assert run([text]).rows.column("lang").to_pylist() == [lang]


def test_language_signals_of_all_rows_stand_beside_the_shard() -> None:
    batch = table_from_rows(
        [{"id": str(n), "source_id": "s", "text": text} for n, (_, text) in enumerate(LABELLED)], "document"
    ).to_batches()[0]
    stage = Language(keep=["ko"], unknown="drop")
    signals = stage.measure(Env())(batch)
    assert signals.num_rows == batch.num_rows > stage.settle(batch, signals).kept.num_rows
    shares = [signals.column(f"language.{name}").to_pylist() for name in ("hangul", "kana", "han", "latin", "other")]
    assert all(abs(sum(row) - 1) < 1e-5 or sum(row) == 0 for row in zip(*shares, strict=True))
    assert all(0 <= value <= 1 for value in signals.column("language.share").to_pylist())


def test_language_long_text_costs_the_detector_its_head_only() -> None:
    """The head decides: what follows behind the first characters is counted by script, not read again."""
    english = "This is a plain sentence about the weather in town. " * 40
    assert run([english + "Le produit est arrivé en retard. " * 10]).rows.column("lang").to_pylist() == ["en"]
