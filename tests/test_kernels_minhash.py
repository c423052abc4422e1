"""The kernels under dedup against their plain-Python references, and the signatures against datasketch."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.clusters import FULL, LEADERS, candidates, fold_down, intersections
from datakit.kernels.folding import fold, fold_text
from datakit.kernels.minhash import band_keys, choose_bands, found_share, permutations, sign, signature_of
from datakit.kernels.shingles import Cut, run_hash, runs_of, shingle_sets, shingles_of, unit_table, units_of

UNITS = ("script", "word", "syllable", "char")
KOREAN = "지난달에 산 무선 청소기가 충전이 되지 않아요. 서비스 센터에 전화했더니 3일 뒤에 오라고 하네요 ㅠㅠ"
ENGLISH = "The cordless vacuum I bought last month won't charge; the service centre told me to come in 3 days."
MIXED = "iPhone 15를 샀는데 battery가 하루도 못 가요!! 東京で買いました 😀👍🏽 ภาษาไทย naïve café"
SAMPLES = (KOREAN, ENGLISH, MIXED, "", " \n\t", "!!! …", "😀😀", "ㅋㅋㅋㅋ", unicodedata.normalize("NFD", KOREAN))
LETTERS = st.text(st.sampled_from("가나다라각힣ㅋabcXYZ éÉ01_-.!\n\t\u3000中あ漢😀\u0301\u1161\u11a8𝒳𠀀ก์"), max_size=60)
PIECES = st.sampled_from(
    ["가", "가나 ", "학교에서 ", "a", "Word ", "x1_", " ", "\n\n", "中", "é", "“", "ㅋ", "か", "😀", "\u3000", "!"]
)
RUNS = st.lists(st.tuples(PIECES, st.integers(1, 70)), max_size=9).map(
    lambda runs: "".join(piece * times for piece, times in runs)
)
"""Long texts: kernels look at 64 bytes at once where there are as many, and runs end anywhere in them."""
TEXTS = st.lists(LETTERS | RUNS | st.text(max_size=40), max_size=6)


def column(texts: list[str]) -> pa.LargeStringArray:
    return pa.array([text.encode("utf-8", "replace").decode() for text in texts], pa.large_string())


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_fold_any_texts_equals_the_plain_reference(texts: list[str]) -> None:
    array = column(["padding", *texts])[1:]  # a slice: its offsets don't begin at 0
    offsets, data = fold(array)
    folded = [bytes(data[a:b]).decode() for a, b in pairwise(offsets)]
    assert folded == [fold_text(text) for text in array.to_pylist()]


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from(UNITS), st.integers(1, 7), st.integers(1, 5), st.integers(0, 2), st.data())
def test_shingle_sets_any_texts_equal_the_plain_reference(
    texts: list[str], unit: str, ngram: int, syllables: int, part: int, data: st.DataObject
) -> None:
    array, cut = column(texts), Cut(unit, ngram, syllables)
    every = sorted({one for text in array.to_pylist() for one in shingles_of(fold_text(text), cut, part)})
    strip = sorted(data.draw(st.sets(st.sampled_from(every)))) if every else []
    flat, places = shingle_sets(array, cut, part=part, strip=np.array(strip, np.uint64))
    for row, text in enumerate(array.to_pylist()):
        found = flat[places[row] : places[row + 1]].tolist()
        assert found == sorted(set(shingles_of(fold_text(text), cut, part, strip)))


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(UNITS))
def test_sign_any_texts_equals_the_plain_reference(texts: list[str], unit: str) -> None:
    signatures, counts = sign(column(texts), Cut(unit), 40)
    for row, text in enumerate(column(texts).to_pylist()):
        shingles = shingles_of(fold_text(text), Cut(unit))
        assert counts[row] == len(shingles)
        assert (signatures[row] == signature_of(shingles, 40)).all()


def test_units_one_text_are_cut_as_each_unit_says() -> None:
    folded = fold_text("GPT-4가 \n나왔다 東京")
    assert units_of(folded, "word") == ["gpt", "4가", "나왔다", "東京"]
    assert units_of(folded, "script") == ["gpt", "4", "가", "나", "왔", "다", "東", "京"]
    assert units_of(folded, "syllable") == ["g", "p", "t", "4", "가", "나", "왔", "다", "東", "京"]
    assert units_of(folded, "char") == list("gpt-4가 나왔다 東京")
    with pytest.raises(ValueError, match="no unit"):
        unit_table("token")


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80).filter(lambda text: not set(text) & set("İΣ")))
def test_word_units_any_text_are_pythons_words_of_the_lowered_text(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    if all(ord(char) <= 0xFFFF for char in text):  # above, capitals keep their case
        assert units_of(fold_text(text), "word") == re.findall(r"\w+", text.lower())


@pytest.mark.parametrize("unit", ["script", "word", "syllable"])
def test_shingles_decomposed_hangul_equal_those_of_composed(unit: str) -> None:
    flat, places = shingle_sets(column([KOREAN, unicodedata.normalize("NFD", KOREAN)]), Cut(unit))
    assert (flat[: places[1]] == flat[places[1] :]).all()


def test_shingles_short_and_signs_only_texts_are_one_shingle_and_empty_texts_none() -> None:
    for unit in UNITS[:3]:
        assert len(shingles_of(fold_text("안녕 ok"), Cut(unit))) == 1
        assert shingles_of(fold_text("!!!"), Cut(unit)) != shingles_of(fold_text("???"), Cut(unit))
        assert shingles_of(fold_text(" \n"), Cut(unit)) == []
    signatures, counts = sign(column(["", "!!!"]), Cut(), 32)
    assert counts.tolist() == [0, 1]
    assert (signatures[0] == 0xFFFFFFFF).all()


def test_run_hash_order_and_cut_of_units_matter() -> None:
    hashes = {run_hash(units) for units in (["가", "나"], ["나", "가"], ["가나"], ["가", "나", "나"])}
    assert len(hashes) == 4


def test_runs_of_script_hold_five_words_or_three_syllables_or_as_much_of_both() -> None:
    assert runs_of("a b c d e f", Cut()) == [list("abcde"), list("bcdef")]
    assert runs_of("가나다 라", Cut()) == [list("가나다"), list("나다라")]
    assert runs_of("a b 가나다라", Cut()) == [
        ["a", "b", "가", "나"],
        ["b", "가", "나", "다"],
        *map(list, ("가나다", "나다라")),
    ]
    assert runs_of("가나다라마바", Cut("word")) == [["가나다라마바"]]


def test_shingles_of_a_template_alone_are_one_and_other_parts_share_none() -> None:
    whole = shingles_of(fold_text(KOREAN), Cut())
    assert len(shingles_of(fold_text(KOREAN), Cut(), strip=whole)) == 1
    assert shingles_of(fold_text(KOREAN), Cut(), strip=whole[:-1]) == whole[-1:]
    assert not set(whole) & set(shingles_of(fold_text(KOREAN), Cut(), part=1))


def test_shingle_sets_taken_in_shares_add_up_to_the_whole() -> None:
    array = column(list(SAMPLES))
    whole, places = shingle_sets(array, Cut(ngram=3))
    parts = [shingle_sets(array, Cut(ngram=3), share=share, shares=4) for share in range(4)]
    for row in range(len(array)):
        found = [flat[at[row] : at[row + 1]] for flat, at in parts]
        assert sorted(np.concatenate(found).tolist()) == whole[places[row] : places[row + 1]].tolist()
    assert sum(len(flat) for flat, _ in parts) == len(whole)


@pytest.mark.parametrize("unit", UNITS)
def test_signatures_korean_and_english_equal_datasketch_bit_for_bit(unit: str) -> None:
    from datasketch import MinHash

    from datakit.stages.dedup.signatures import shingle_hash32

    signatures, _ = sign(column(list(SAMPLES)), Cut(unit), 128)
    for row, text in enumerate(SAMPLES):
        runs = runs_of(fold_text(text), Cut(unit))
        theirs = MinHash(num_perm=128, seed=1, scheme="affine32", hashfunc=shingle_hash32)
        theirs.update_batch(runs)
        assert theirs.hashvalues.tolist() == signatures[row].tolist()
        if runs:  # a planted breach: other permutations must not pass
            other = MinHash(num_perm=128, seed=2, scheme="affine32", hashfunc=shingle_hash32)
            other.update_batch(runs)
            assert other.hashvalues.tolist() != signatures[row].tolist()


def test_permutations_every_seed_equal_datasketchs() -> None:
    from datasketch import MinHash

    for seed, count in ((1, 128), (7, 33)):
        a, b = MinHash(num_perm=count, seed=seed, scheme="affine32").permutations
        assert (permutations(count, seed)[0] == a).all()
        assert (permutations(count, seed)[1] == b).all()


def test_bands_for_common_thresholds_are_those_of_the_page() -> None:
    assert [choose_bands(threshold, 128) for threshold in (0.7, 0.8, 0.9)] == [(42, 3), (25, 5), (18, 7)]
    assert found_share(0.8, 25, 5) == pytest.approx(0.99995, abs=1e-5)
    for threshold in (0.5, 0.65, 0.8, 0.95, 1.0):
        bands, rows = choose_bands(threshold, 128)
        assert bands * rows <= 128
        assert found_share(threshold, bands, rows) >= 0.9999


def bucket(
    signatures: list[list[int]], least: int, known: list[int] | None = None, lead: int = 1
) -> tuple[set[tuple[int, int]], int]:
    rows = len(signatures)
    codes, uncompared = candidates(
        np.arange(rows), np.zeros(rows, np.uint64), np.array(signatures, np.uint32), np.arange(rows), least,
        np.array(known or [], np.uint64), lead,
    )  # fmt: skip
    return {(int(code) >> 32, int(code) & 0xFFFFFFFF) for code in codes}, uncompared


def test_candidates_small_bucket_gives_every_pair_that_agrees() -> None:
    pairs, uncompared = bucket([[1, 1, 1], [1, 1, 2], [5, 5, 5], [1, 2, 2]], 2)
    assert (pairs, uncompared) == ({(0, 1), (1, 3)}, 0)
    assert bucket([[1, 1], [1, 1]], 2, [1])[0] == set()  # (0, 1) is known


def test_candidates_crowded_bucket_gives_one_pair_a_row() -> None:
    copies = 50 * FULL
    pairs, uncompared = bucket([[1, 1, 1]] * copies, 3)
    assert pairs == {(0, row) for row in range(1, copies)}
    assert uncompared == 0
    four, _ = bucket([[1, 1, 1]] * copies, 3, [1], lead=4)
    assert four == {(one, row) for row in range(1, copies) for one in range(min(row, 4))} - {(0, 1)}  # which is known
    _, left = bucket([[row, row, row] for row in range(copies)], 3)
    assert left == copies - LEADERS


def test_intersections_pairs_of_sorted_sets_are_counted() -> None:
    sets = [[1, 3, 5, 9], [3, 4, 5], [], [9]]
    flat, places = np.array([1, 3, 5, 9, 3, 4, 5, 9], np.uint64), np.cumsum([0, *map(len, sets)])
    pairs = [(0, 1), (0, 3), (1, 2), (0, 0)]
    shared = intersections(flat, places, *np.array(pairs).T)
    assert shared.tolist() == [2, 1, 0, 4]


def test_fold_down_chain_is_not_followed_and_the_best_row_that_stays_is_taken() -> None:
    into, value = fold_down(4, np.array([0, 1, 0, 2]), np.array([1, 2, 3, 3]), np.array([0.9, 0.95, 0.8, 0.85]))
    assert into.tolist() == [-1, 0, -1, 2]  # 1 goes into 0; 2 resembles only 1, so it stays; 3 resembles 2 most
    assert value.tolist() == [0.0, 0.9, 0.0, 0.85]


def test_band_keys_equal_places_give_equal_keys() -> None:
    signatures = np.array([[1, 2, 3, 4], [9, 2, 3, 4], [1, 2, 4, 3]], np.uint32)
    keys = band_keys(signatures, np.array([0, 1, 2]), 1, 3)
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]
