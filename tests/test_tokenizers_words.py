"""A SentencePiece model by its words gives the library's ids, row by row, or isn't used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2

from datakit.kernels.wordcuts import words
from datakit.tokenizers import Tokenizer, load_tokenizer, train_sentencepiece
from datakit.tokenizers.words import Words, words_of
from tests.tiny_llama import LINES

ODD = st.text(st.sampled_from("가각힣ㅋ  ab12é\u0301\n\t\r🙂'.▁▁\u3000\ue000\0뷁"), max_size=30)
TEXTS = ODD | st.text(st.characters(codec="utf-8"), max_size=12)
KINDS = ("unigram", "bpe", "bpe without bytes", "unigram without bytes", "unigram prefixed", "bpe prefixed")


def proto_of(model: bytes) -> Any:
    found = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made at run time
    found.ParseFromString(model)
    return found


def made(path: Path, kind: str) -> Tokenizer:
    """A small model; `prefixed` puts a ▁ before each text, as Llama's does."""
    name, _, how = kind.partition(" ")
    corpus = [*LINES * 10, *(f"나는  {n} 번, the harbour\n{n % 97}" for n in range(300))]
    size, options = (340, {"byte_fallback": False}) if how == "without bytes" else (430, {})
    proto = proto_of(train_sentencepiece(iter(corpus), vocab_size=size, model_type=name, **options))
    proto.normalizer_spec.add_dummy_prefix = how == "prefixed"
    path.write_bytes(proto.SerializeToString())
    return load_tokenizer(str(path), path.parent)


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return made(tmp_path_factory.mktemp("words") / "own.model", request.param)


def rows(ids: np.ndarray, counts: np.ndarray) -> list[list[int]]:
    return [one.tolist() for one in np.split(ids, np.cumsum(counts)[:-1])]


def stretches(texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    raw = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, raw)])
    return np.frombuffer(b"".join(raw), np.uint8), ends[:-1], ends[1:]


@settings(max_examples=120, deadline=None)
@given(texts=st.lists(TEXTS.filter(bool), min_size=1, max_size=6))
def test_words_any_texts_give_the_ids_of_the_library(model: Any, texts: list[str]) -> None:
    assert model._words is not None
    ids, sizes, counts = model._words.encode(*stretches(texts))
    assert rows(ids, counts) == [model._model.encode(text) for text in texts]
    for text, own in zip(texts, np.split(sizes, np.cumsum(counts)[:-1]), strict=True):
        assert own.min() >= 0
        assert own.sum() == len(text.encode())


def test_words_of_many_texts_at_once_give_the_ids_of_the_library(model: Any) -> None:
    """Enough new words for several pages, one of them longer than a page, and known words a second time."""
    rng = np.random.default_rng(3)
    alphabet = list("가나다라 abc12 \n")
    texts = ["".join(rng.choice(alphabet, 60)) for _ in range(600)]
    texts[300] = "가b" * 3000 + " c"
    wanted = [model._model.encode(text) for text in texts]
    for _ in range(2):
        ids, _, counts = model._words.encode(*stretches(texts))
        assert rows(ids, counts) == wanted


def test_words_text_beyond_exact_sums_goes_to_the_library_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one: Any = made(tmp_path / "own.model", "unigram")
    long = "뷁 서울은 the harbour " * 9000
    assert rows(*one._words.encode(*stretches(["a b", long]))[::2]) == [one._model.encode(t) for t in ("a b", long)]
    asked, real = [], Words._by_words

    def noted(self: Words, *given: Any) -> Any:
        asked.append(int(given[-1].sum()))
        return real(self, *given)

    monkeypatch.setattr(Words, "_by_words", noted)
    one._words.encode(*stretches(["a b", long]))
    assert asked == [0, 1]


def test_words_are_not_used_where_they_would_not_be_exact(tmp_path: Path) -> None:
    """The planted breaches, one by one: each would give other ids for some text."""
    one: Any = made(tmp_path / "own.model", "unigram")

    def changed(change: Any) -> Any:
        proto = proto_of((tmp_path / "own.model").read_bytes())
        change(proto, next(piece for piece in proto.pieces if piece.piece == "▁"))
        return words_of(one._library.of(proto.SerializeToString()))

    assert changed(lambda proto, blank: None) is not None
    breaches: list[Any] = [
        lambda proto, blank: proto.pieces.add(piece="a▁b", score=-1.0, type=1),  # a piece across a cut
        lambda proto, blank: setattr(proto.pieces[-1], "score", -1.0001),  # sums that depend on what stands before
        lambda proto, blank: setattr(proto.pieces[-1], "score", 1.0),
        lambda proto, blank: setattr(proto.pieces[-1], "type", 4),  # a user-defined piece wins against any score
        lambda proto, blank: setattr(blank, "piece", "\ue123"),
        lambda proto, blank: setattr(proto.normalizer_spec, "remove_extra_whitespaces", True),
        lambda proto, blank: setattr(proto.trainer_spec, "treat_whitespace_as_suffix", True),
    ]
    assert [changed(breach) for breach in breaches] == [None] * len(breaches)


def test_probe_notices_a_wrong_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted breach: every letter is said to stand alone; the library then does the work."""
    one: Any = made(tmp_path / "own.model", "bpe")
    monkeypatch.setattr("datakit.tokenizers.words._standing_alone", lambda pieces, known: np.arange(256) < 128)
    again: Any = load_tokenizer(str(tmp_path / "own.model"), tmp_path)
    assert again._words is None
    found, wanted = again.encode_batch(LINES, offsets=True), one.encode_batch(LINES, offsets=True)
    assert all(np.array_equal(getattr(found, part), getattr(wanted, part)) for part in ("rows", "ids", "starts"))


def plain_words(text: str, alone: str) -> list[str]:
    """What the kernel is held to."""
    found = [""]
    for n, char in enumerate(text):
        before = text[n - 1] if n else ""
        if n and "\0" not in text and (char in alone or before in alone or (char == " " and before not in " ▁")):
            found.append("")
        found[-1] += char
    return [word for word in found if word]


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=5), data=st.data())
def test_wordcuts_any_texts_equal_the_plain_loop(texts: list[str], data: Any) -> None:
    whole = np.array(data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))))
    alone = np.zeros(256, np.bool_)
    alone[[ord(char) for char in "\n1"]] = True
    raw, starts, ends = stretches(texts)
    stops, counts, longest = words(raw, starts, ends, alone, whole)
    wanted = [plain_words(text, "" if own else "\n1") for text, own in zip(texts, whole, strict=True)]
    wanted = [[text] if own and text else cut for text, own, cut in zip(texts, whole, wanted, strict=True)]
    sizes = [[len(word.encode()) for word in one] for one in wanted]
    assert counts.tolist() == [len(one) for one in sizes]
    assert longest.tolist() == [max(one, default=0) for one in sizes]
    assert stops.tolist() == np.cumsum([size for one in sizes for size in one]).tolist()
