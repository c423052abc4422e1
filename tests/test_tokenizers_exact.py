"""Exactness of the engines: byte-level BPE by pieces, SentencePiece as it is and as a transformers tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import StageError
from datakit.tokenizers import SpanLists, Tokenizer, load_tokenizer, train_sentencepiece, vocabulary_report
from datakit.tokenizers.bytelevel import REGEXES, byte_alphabet, parsed, rules_of
from datakit.tokenizers.seam import text_column
from tests.tiny_llama import END, LINES, PAD, START, make_tiny_tokenizer

TEXTS = st.text(st.sampled_from("가각힣ㅋ ab1é\u0301\n\t\r🙂'sS<|im_end|>\U0001fae8뷁"), max_size=24) | st.text(
    max_size=10
)
WORDS = (
    "서울은",
    "대한민국의",
    "수도입니다.",
    "the",
    "harbour",
    "was",
    "quiet",
    "12,345.67",
    "  ",
    "\n\n",
    "🙂",
    "don't",
    "뷁",
)


def bpe(folder: Path, cutting: str | None, normalizer: Any = None, added: tuple[Any, ...] = ()) -> Tokenizer:
    """A byte-level BPE trained here, with a regex of its own and its steps in the order that models have them."""
    from tokenizers import Regex, Tokenizer as Backend, decoders, models, pre_tokenizers, trainers  # noqa: I001

    trained = Backend(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cutting is None)
    first = (
        pre_tokenizers.Split(Regex(cutting), "isolated") if cutting else pre_tokenizers.Digits(individual_digits=True)
    )
    trained.pre_tokenizer = pre_tokenizers.Sequence([first, level])
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=[PAD, START, END], initial_alphabet=byte_alphabet(), show_progress=False
    )
    trained.train_from_iterator([*LINES, "don't we'll  12 345\n\n"] * 3, trainer)
    if normalizer is not None:
        trained.normalizer = normalizer
    trained.add_tokens(list(added))
    folder.mkdir(parents=True, exist_ok=True)
    trained.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": END, "pad_token": END}), encoding="utf-8")
    return load_tokenizer(str(folder), folder)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from tokenizers import AddedToken, normalizers

    folder = tmp_path_factory.mktemp("tokenizers")
    qwen = next(cutting for cutting, rule in REGEXES.items() if rule == (1, 1, 1))
    llama = next(cutting for cutting, rule in REGEXES.items() if rule == (1, 1, 3))
    return {
        "qwen": bpe(folder / "qwen", qwen, normalizers.NFC(), ("<think>",)),
        "llama": bpe(folder / "llama", llama),
        "digits": bpe(folder / "digits", None),
        "stripping": bpe(folder / "stripping", llama, None, (AddedToken("<x>", rstrip=True),)),
        "whole": ignoring(bpe(folder / "whole", llama)),
        "lowering": bpe(folder / "lowering", llama, normalizers.Lowercase()),
    }


def ignoring(one: Any) -> Any:
    """The same with `ignore_merges`: a piece that is a token as a whole is that token (Llama 3)."""
    path = one._files[0]
    whole = json.loads(path.read_text(encoding="utf-8"))
    whole["model"]["ignore_merges"] = True
    whole["model"]["vocab"]["ìĦľìļ¸ìĿĢ"] = len(whole["model"]["vocab"])  # 서울은, which no merge makes
    path.write_text(json.dumps(whole), encoding="utf-8")
    return load_tokenizer(str(path.parent), path.parent)


def agree(one: Any, other: Any) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("rows", "ids", "starts", "ends"))


@pytest.mark.parametrize("name", ["qwen", "llama", "digits", "whole"])
@settings(max_examples=120, deadline=None)
@given(texts=st.lists(TEXTS, max_size=5), data=st.data())
def test_pieces_any_texts_give_ids_and_offsets_of_the_library(
    tokenizers: Any, name: str, texts: Any, data: Any
) -> None:
    one = tokenizers[name]
    assert one._pieces is not None
    column = text_column([*texts, "서울은 서울은 생각 <think> e\u0301 ᄀ\u1161"])
    places = [sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=2))) for text in texts]
    spans = SpanLists.of([[(a[0], a[1])] if len(a) == 2 else [] for a in [*places, []]])
    for contents in (None, spans):
        library = one._by_library(column, contents, True)
        assert agree(one.encode_batch(column, contents, offsets=True), library)


def test_pieces_are_not_used_where_they_would_not_be_exact(tokenizers: Any) -> None:
    """The planted breaches: a normaliser, an added token that takes white space along, another regex, dropout."""
    assert tokenizers["stripping"]._pieces is None
    assert tokenizers["lowering"]._pieces is None
    whole = parsed(tokenizers["llama"]._backend)
    assert rules_of(whole) is not None
    cutting = whole["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    for part, value in (("dropout", 0.1), ("end_of_word_suffix", "</w>"), ("byte_fallback", True)):
        assert rules_of({**whole, "model": {**whole["model"], part: value}}) is None
    text = json.dumps(whole).replace(json.dumps(cutting), json.dumps(cutting + "|x"))
    assert rules_of(json.loads(text)) is None
    lost = {token: number for token, number in whole["model"]["vocab"].items() if token != byte_alphabet()[0x9C]}
    assert rules_of({**whole, "model": {**whole["model"], "vocab": lost}}) is None


def test_probe_notices_a_wrong_cut(tokenizers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted breach: Llama's text cut by Qwen's regex is caught at the start, and the library does the work."""
    cutting = next(cutting for cutting, rule in REGEXES.items() if rule == (1, 1, 3))
    monkeypatch.setitem(REGEXES, cutting, (0, 1, 0))
    again = load_tokenizer(str(tokenizers["llama"]._files[0].parent), Path())
    assert again._pieces is None
    assert agree(again.encode_batch(LINES), tokenizers["llama"].encode_batch(LINES))


def test_half_a_surrogate_pair_is_named(tokenizers: Any) -> None:
    with pytest.raises(StageError, match="half a surrogate pair"):
        tokenizers["llama"].encode_batch(["a\ud83d"])


def test_added_tokens_get_ids_behind_and_are_saved(tokenizers: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = tokenizers["digits"]._files[0].parent
    own = load_tokenizer(str(folder), folder)
    more = load_tokenizer(str(folder), folder, ("<|tool|>", END))
    assert more.specials["<|tool|>"] == own.vocab_size == more.vocab_size - 1
    assert more.specials[END] == own.specials[END]
    assert more.fingerprint != own.fingerprint
    ids = more.encode_batch(["가<|tool|>나"], [[]]).ids.tolist()
    assert more.specials["<|tool|>"] in ids
    more.save(tmp_path / "saved")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert theirs("가<|tool|>나", add_special_tokens=False)["input_ids"] == ids


# SentencePiece


def lines(count: int) -> list[str]:
    rng = np.random.default_rng(7)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 12))) + str(n % 97) for n in range(count)]


@pytest.fixture(scope="module", params=["unigram", "bpe", "bpe without bytes"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("pieces") / "own.model"
    kind, _, without = request.param.partition(" ")
    options = {"vocab_size": 320 if without else 420, "model_type": kind, "byte_fallback": not without}
    corpus = [*LINES * 10, *lines(400)]
    path.write_bytes(train_sentencepiece(iter(corpus), **options))
    return load_tokenizer(str(path), path.parent)


def test_converted_model_gives_the_same_ids_through_auto_tokenizer(model: Tokenizer, tmp_path: Path) -> None:
    """Thousands of Korean and English lines; a BPE loader on the unigram model is the planted breach beside it."""
    from transformers import AutoTokenizer

    model.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    texts = [*LINES, *lines(3000), "", " ", "  a", "뷁\t\x04", "한자 漢字 é e\u0301"]
    found = model.encode_batch(texts)
    told = theirs(texts, add_special_tokens=False)["input_ids"]
    assert told == [found.ids[a:b].tolist() for a, b in zip(found.rows[:-1], found.rows[1:], strict=True)]
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (1, 2, 3)
    assert theirs.convert_tokens_to_ids(START) == model.specials[START]
    whole = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    if whole["model"]["type"] == "Unigram":
        whole["model"]["vocab"] = [[piece, -float(n)] for n, (piece, _) in enumerate(whole["model"]["vocab"])]
        (tmp_path / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
        assert AutoTokenizer.from_pretrained(tmp_path)(texts, add_special_tokens=False)["input_ids"] != told


@settings(max_examples=80, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_sentencepiece_tokens_cover_the_text_in_order(model: Tokenizer, texts: list[str]) -> None:
    """Offsets that are lengths added up say what the library's own say of whole characters."""
    texts = [text.replace("\0", "") for text in texts]
    found = model.encode_batch(texts, offsets=True)
    for place, text in enumerate(texts):
        a, b = found.rows[place : place + 2]
        starts, ends = found.starts[a:b].tolist(), found.ends[a:b].tolist()
        assert starts == sorted(starts)
        assert "".join(text[x:y] for x, y in dict.fromkeys(zip(starts, ends, strict=True))) == text


def test_llama_model_with_a_blank_before_converts_exactly(shared: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    one = load_tokenizer(str(shared / "data" / "stories260k" / "tokenizer.model"), tmp_path)
    one.save(tmp_path / "out")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
    texts = ["Once upon a time", " two  spaces", "안녕 하세요", "a\n\n b", *lines(200)]
    found = one.encode_batch(texts, offsets=True)
    told = theirs(texts, add_special_tokens=False)["input_ids"]
    assert told == [found.ids[a:b].tolist() for a, b in zip(found.rows[:-1], found.rows[1:], strict=True)]


def test_vocabulary_report_counts_tokens_a_word_by_language(tokenizers: Any) -> None:
    texts = [("ko", "서울은 대한민국의 수도입니다."), ("en", "the harbour was quiet"), ("und", "123")]
    found = vocabulary_report({"own": tokenizers["llama"], "base": tokenizers["digits"]}, texts)
    assert set(found) == {"own", "base"}
    own = found["own"]
    sizes = {lang: len(tokenizers["llama"].encode_batch([text]).ids) for lang, text in texts}
    assert own["tokens_a_word"] == {"ko": round(sizes["ko"] / 3, 3), "en": round(sizes["en"] / 4, 3)}
    assert own["vocab_size"] == tokenizers["llama"].vocab_size
    assert 0 < own["vocabulary_used"] <= 1


def test_tiny_tokenizer_is_encoded_by_pieces(tmp_path: Path) -> None:
    make_tiny_tokenizer(tmp_path)
    assert load_tokenizer(str(tmp_path), tmp_path)._pieces is not None
