"""The laws of tokenize, over templates, tokenizers, and Korean, English and emoji; and inputs that break things.

exact        every character of a trained span is learned, and none outside, but for tokens half inside (counted)
one BOS      exactly one, at the start, never learned
stop         the last token of every answer is its stop, one control token, and it is learned
pad          never among the ids
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import StageError
from datakit.runner import apply
from datakit.schemas import IGNORED, table_from_rows
from datakit.stage import Env
from datakit.stages.template import Template
from datakit.stages.template.named import NAMED
from datakit.stages.tokenize import Tokenize
from datakit.stages.tokenize.rows import Rows
from datakit.tokenizers import Tokenizer, load_tokenizer, train_sentencepiece
from tests.tiny_llama import END, LINES, PAD, make_tiny_tokenizer

MARKUP = ("<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
MARKUP = (*MARKUP, "<bos>", "<start_of_turn>", "<end_of_turn>", "</s>")
TEXTS = st.text(st.sampled_from("가각 ab1\n🙂é뷁</s><|im_end|>"), min_size=1, max_size=12).filter(str.strip)
TALKS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Byte-level BPE, and a SentencePiece model of each type."""
    folder = tmp_path_factory.mktemp("laws")
    make_tiny_tokenizer(folder / "bpe")
    for kind in ("unigram", "bpe"):
        model = train_sentencepiece(iter([*LINES * 20]), vocab_size=420, model_type=kind)
        (folder / f"{kind}.model").write_bytes(model)
    return {"bytes": str(folder / "bpe"), "unigram": str(folder / "unigram.model"), "bpe": str(folder / "bpe.model")}


@cache
def tokenizer_of(spec: str) -> Tokenizer:
    return load_tokenizer(spec, Path(), MARKUP)


def broken_law(row: dict[str, Any], made: dict[str, Any], one: Tokenizer, straddling: int, stop: str) -> str | None:
    """The first law that a row breaks. `made`: its text and spans; `row`: its ids and labels."""
    ids, labels = row["input_ids"], row["labels"]
    contents = [(s["start"], s["end"]) for s in made["template.contents"]]
    spans = [(s["start"], s["end"]) for s in made["trained"]]
    encoded = one.encode_batch([made["text"]], [contents], offsets=True)
    if one.bos_id is not None and (ids.count(one.bos_id) != 1 or ids[0] != one.bos_id or labels[0] != IGNORED):
        return "one BOS, first, not learned"
    if one.pad_id not in (None, one.eos_id) and one.pad_id in ids:
        return "no pad"
    front = 1 if ids[1 : 1 + len(encoded.ids)] == encoded.ids.tolist() else 0
    covered: set[int] = set()
    for token, start, end in zip(range(len(encoded.ids)), encoded.starts.tolist(), encoded.ends.tolist(), strict=True):
        inside = any(a <= start + _lead(made["text"], start, a) and a < max(end, start + 1) <= b for a, b in spans)
        if (labels[front + token] != IGNORED) != inside:
            return "learned are the tokens of answers"
        covered |= set(range(start, end)) if inside else set()
    if not straddling and any(not set(range(a, b)) <= covered for a, b in spans):
        return "every character of an answer is learned"
    stops = [n for n, label in enumerate(labels) if label == one.specials.get(stop, one.eos_id)]
    return None if len(stops) == len(spans) else "every answer's stop is learned"


def _lead(text: str, start: int, span: int) -> int:
    """How far a token may begin before a span: over white space."""
    return span - start if start < span and text[start:span].isspace() else 0


@pytest.mark.parametrize("kind", ["bytes", "unigram", "bpe"])
@pytest.mark.parametrize("style", [*NAMED, "alpaca", "koalpaca"])
@settings(max_examples=12, deadline=None)
@given(talk=TALKS)
def test_laws_hold_for_any_talk(specs: dict[str, str], style: Any, kind: str, talk: list[tuple[str, str]]) -> None:
    talk = talk[:1] if "alpaca" in style else talk
    turns = [{"role": r, "content": c} for pair in talk for r, c in zip(("user", "assistant"), pair, strict=True)]
    # A template with a BOS of its own has it as text; here each has one BOS of the tokenizer's.
    one = tokenizer_of(specs[kind])
    if kind == "bytes":  # its BOS is also what begins a turn of ChatML, so it is not asked for one
        one.named.pop("bos_token", None)
    [batch] = table_from_rows([{"id": "a", "source_id": "a", "messages": turns}], "example").to_batches()
    rendered = Template(style=style).open(Env())(batch).kept
    settings = Tokenize(tokenizer="x", add_bos=kind != "bytes").model_dump(mode="json")
    row, made = Rows(one, settings).tokenized(rendered).to_pylist()[0], rendered.to_pylist()[0]
    stop = NAMED[style].stop if style in NAMED else one.named["eos_token"]
    assert broken_law(row, made, one, row["straddling"], stop) is None


def test_laws_notice_planted_breaches(specs: dict[str, str]) -> None:
    one = tokenizer_of(specs["unigram"])
    rows = [{"messages": [{"role": "user", "content": "물음"}, {"role": "assistant", "content": "서울 yes"}]}]
    rendered = apply(Template(style="llama3"), rows, kind="example").rows
    stage = Tokenize(tokenizer=specs["unigram"], added_tokens=MARKUP, add_bos=True)
    row, made = apply(stage, rendered).rows.to_pylist()[0], rendered.to_pylist()[0]
    ids, labels, eot = row["input_ids"], row["labels"], one.specials["<|eot_id|>"]
    assert broken_law(row, made, one, 0, "<|eot_id|>") is None
    masked = [IGNORED if label == eot else label for label in labels]
    breaches = {
        "one BOS, first, not learned": {"input_ids": [ids[0], *ids], "labels": [IGNORED, *labels]},
        "no pad": {"input_ids": [*ids, one.pad_id], "labels": [*labels, IGNORED]},
        "learned are the tokens of answers": {"input_ids": ids, "labels": masked},
    }
    for law, breach in breaches.items():
        assert broken_law(breach, made, one, 0, "<|eot_id|>") == law
    assert broken_law({**row, "labels": [ids[0], *labels[1:]]}, made, one, 0, "<|eot_id|>") is not None


# Inputs that break things


def talk(*contents: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(contents)]}


def test_pad_that_is_the_end_token_leaves_the_stop_learned(specs: dict[str, str], tmp_path: Path) -> None:
    for file in Path(specs["bytes"]).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "tokenizer_config.json"
    path.write_text(path.read_text(encoding="utf-8").replace(PAD, END), encoding="utf-8")
    one = load_tokenizer(str(tmp_path), tmp_path)
    assert one.pad_id == one.eos_id is not None
    found = apply([Template(style="chatml"), Tokenize(tokenizer=str(tmp_path))], [talk("물", "답")], kind="example")
    assert one.eos_id in found.rows.column("labels").to_pylist()[0]


def test_tokenizer_without_bos_or_pad_is_no_hindrance_unless_bos_is_asked_for(
    specs: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.json").write_bytes((Path(specs["bytes"]) / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(f'{{"eos_token": "{END}"}}', encoding="utf-8")
    assert apply(Tokenize(tokenizer=str(tmp_path)), [{"text": "글"}]).notes["pad_id"] is None
    with pytest.raises(StageError, match="has no BOS"):
        apply(Tokenize(tokenizer=str(tmp_path), add_bos=True), [{"text": "글"}])


def test_vocabulary_larger_than_the_base_is_an_error_and_added_tokens_are_recorded(
    specs: dict[str, str], tmp_path: Path
) -> None:
    for file in Path(specs["bytes"]).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text('{"vocab_size": 512}', encoding="utf-8")
    found = apply(Tokenize(tokenizer=str(tmp_path), added_tokens=("<|tool|>",)), [{"text": "글"}])
    assert found.notes["added_tokens"] == {"<|tool|>": 512}
    assert found.notes["vocab_size"] == 513
    (tmp_path / "config.json").write_text('{"vocab_size": 500}', encoding="utf-8")
    with pytest.raises(StageError, match="512 tokens, but its model knows 500"):
        apply(Tokenize(tokenizer=str(tmp_path)), [{"text": "글"}])


def test_specials_in_a_message_are_control_only_if_allowed(specs: dict[str, str]) -> None:
    rows, one = [talk(f"끝{END}", "답")], load_tokenizer(specs["bytes"], Path())
    for allowed, expected in ((False, 2), (True, 3)):
        stages = [Template(style="chatml"), Tokenize(tokenizer=specs["bytes"], allow_specials=allowed)]
        ids = apply(stages, rows, kind="example").rows.column("input_ids").to_pylist()[0]
        assert ids.count(one.eos_id) == expected


@pytest.mark.parametrize("policy", ["drop", "truncate_left", "truncate_right", "split"])
def test_row_fifty_times_too_long_is_told_to_the_token(specs: dict[str, str], policy: Any) -> None:
    row = talk("물음", "서울은 대한민국의 수도입니다. " * 200)
    whole = apply([Template(style="chatml"), Tokenize(tokenizer=specs["bytes"])], [row], kind="example")
    size = whole.notes["tokens"]
    limit = size // 60
    stages = [Template(style="chatml"), Tokenize(tokenizer=specs["bytes"], max_length=limit, too_long=policy)]
    found = apply(stages, [row], kind="example")
    counts = found.stats.counters
    assert counts["tokens"] + counts["tokens_cut"] + counts["tokens_dropped"] - counts["tokens_added"] == size
    assert all(len(ids) <= limit for ids in found.rows.column("input_ids").to_pylist())


def test_preference_rows_give_both_sequences_and_go_whole_if_one_is_too_long(specs: dict[str, str]) -> None:
    row = {
        "messages": [{"role": "user", "content": "물음"}],
        "chosen": [{"role": "assistant", "content": "좋음"}],
        "rejected": [{"role": "assistant", "content": "나쁨 " * 30}],
    }
    one = load_tokenizer(specs["bytes"], Path())
    stages = [Template(style="chatml"), Tokenize(tokenizer=specs["bytes"])]
    found = apply(stages, [row, talk("가", "나")], kind="example")
    pair, plain = found.rows.to_pylist()
    for ids, labels, answer in (
        (pair["input_ids"], pair["labels"], "좋음"),
        (pair["tokenize.rejected_ids"], pair["tokenize.rejected_labels"], "나쁨 " * 30),
    ):
        assert one.decode([label for label in labels if label != IGNORED]) == answer + END
        assert one.decode(ids[: len(ids) - sum(label != IGNORED for label in labels) - 1]).endswith("assistant\n")
    assert plain["tokenize.rejected_ids"] is None
    assert found.stats.counters["rejected_tokens"] == len(pair["tokenize.rejected_ids"])
    short = Tokenize(tokenizer=specs["bytes"], max_length=60, too_long="truncate_right")
    cut = apply([Template(style="chatml"), short], [row], kind="example")
    assert cut.drops.column("rule").to_pylist() == ["too_long"]


def test_template_markup_that_the_tokenizer_lacks_is_named(specs: dict[str, str]) -> None:
    with pytest.raises(StageError, match="no token of this tokenizer"):
        apply([Template(style="gemma"), Tokenize(tokenizer=specs["bytes"])], [talk("가", "나")], kind="example")
