"""quality: furniture, mash, keyword lists and repetition go; short good text stays; Korean by Korean measures."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from datakit.runner import Applied, apply
from datakit.schemas import table_from_rows
from datakit.stage import Env
from datakit.stages.language import Language
from datakit.stages.normalize import Normalize
from datakit.stages.quality import Quality
from datakit.stages.quality.profiles import PROFILES, RULES
from datakit.stages.quality.words import FURNITURE, MENU

SAMPLES = Path(__file__).parents[1] / "sample_data"
GOOD = [
    "좋아요", "굿", "ㅋㅋㅋ 재밌다", "최고 ㅠㅠ", "Great!", "OK", "검색이 안 됨", "print('hello')", "html css js",
    "장바구니 결제 오류", "WD-40 500ml x 3", "가성비 최고 디자인 최고 성능 최고", "준비물: 밀가루 / 설탕 / 소금 / 우유",
    "로그인이 안 되고 비밀번호 찾기도 안 됩니다. 회원가입을 다시 해야 하나요? 자동 로그인도 풀렸어요",
    "I can't log in. The forgot password page says my username is not known and I cannot sign up again either.",
]  # fmt: skip
BAD = {
    "boilerplate": [
        "홈 > 커뮤니티 > 자유게시판\n글쓰기 목록 검색\n로그인 | 회원가입 | 비밀번호 찾기\n이용약관 | 개인정보처리방침",
        "Sign in to your account\nPassword\nForgot password?\nCreate an account\nPrivacy Policy | Terms of Service",
        "기사입력 2024.03.02\n글자크기 인쇄 공유\n저작권자 ⓒ 무단 전재 및 재배포 금지\n많이 본 기사\n1",
        "Skip to main content\nProducts\nPricing\nDocs\nBlog\nContact sales\nLog in\nStart free",
    ],
    "few_stopwords": [
        "조명 인테리어조명 식탁조명 거실조명 펜던트조명 레일조명 무드등 스탠드 조명추천 조명가게 조명할인",
        "cheap flights discount hotels best deals low price tickets last minute booking car rental promo code coupon",
    ],
    "odd_words": ["qwrtpsd sdfkljh zxmcnvb qwpsd sdkfjhg mznxbcv", "ㅁㄴㅇㄻㄴㅇㄹ ㅂㅈㄷㄱㅂㅈㄷㄱ ㅋㅌㅊㅍㅋㅌㅊㅍ"],
    "symbols": ["!!!!!!!@@@@@#####$$$$$%%%%%"],
    "urls": ["http://a.b/c http://d.e/f http://g.h/i 여기클릭"],
    "repeated_words": ["좋아요 " * 20, "very " * 20],
    "duplicate_lines": ["빨리 해결해 주세요\n" * 10, "Please fix this now\n" * 10],
}  # fmt: skip


def run(texts: list[str], **fields: Any) -> Applied:
    return apply(Quality(**fields), apply(Language(), [{"text": text} for text in texts]).rows)


def rules(applied: Applied) -> list[str]:
    return applied.drops.column("rule").to_pylist()


def test_quality_short_good_text_stays() -> None:
    applied = run(GOOD)
    assert applied.rows.column("text").to_pylist() == GOOD
    assert rules(applied) == []


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, texts in BAD.items() for text in texts])
def test_quality_bad_text_goes_with_its_rule(rule: str, text: str) -> None:
    applied = run([text])
    assert rules(applied) == [rule]
    drop = applied.drops.to_pylist()[0]
    assert float(drop["value"]) != float(drop["threshold"])
    assert text not in str(drop)


def test_quality_profile_off_keeps_everything() -> None:
    texts = [text for texts in BAD.values() for text in texts]
    assert run(texts, profile="off").rows.num_rows == len(texts)


def test_quality_own_threshold_overrides_the_profile() -> None:
    assert rules(run(["짧은 글입니다", "이것은 다섯 낱말이 있는 글"], min_words=5)) == ["few_words"]
    assert rules(run(["짧은 글입니다"], profile="off", min_words=5)) == ["few_words"]
    assert rules(run([BAD["symbols"][0]], max_symbol_share=1.0, min_letter_words=0, min_letters=0)) == []


def test_quality_web_profiles_want_pages_not_lines() -> None:
    assert rules(run(["좋아요"], profile="web-ko")) == ["few_characters"]
    assert rules(run(["It is a good product and I would buy it again. " * 3], profile="web-en")) == ["few_words"]


def test_quality_several_failing_rules_drop_once_and_are_all_counted() -> None:
    applied = run([BAD["symbols"][0]], min_words=5, min_characters=50)
    assert rules(applied) == ["few_characters"]
    assert {"fails few_characters", "fails few_words", "fails symbols"} <= set(applied.stats.counters)
    assert applied.stats.conserved
    further = applied.drops.to_pylist()[0]["further"]
    assert further[0] == {"rule": "few_words", "value": "1", "threshold": "5"}
    assert "symbols" in {failed["rule"] for failed in further}
    assert len(further) + 1 == sum(n for name, n in applied.stats.counters.items() if name.startswith("fails "))


def test_quality_signals_are_written_for_kept_and_dropped_rows() -> None:
    rows = [{"id": "1", "source_id": "a", "text": "좋아요"}, {"id": "2", "source_id": "b", "text": BAD["symbols"][0]}]
    signals = Quality().measure(Env())(table_from_rows(rows, "document").to_batches()[0])
    assert signals.column("id").to_pylist() == ["1", "2"]
    assert {str(field.type) for field in signals.schema if field.name.startswith("quality.")} == {"float"}
    assert signals.column("quality.hangul_share").to_pylist() == [1.0, 0.0]


def test_quality_short_instruction_rows_stay() -> None:
    def turns(question: str, answer: str) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}

    rows = [
        turns("2+2는?", "4"),
        turns("Name a colour.", "Red"),
        turns("과일 목록", "- 사과\n- 배"),
        turns("Sum?", "```py\na+b\n```"),
    ]
    assert apply([Language(), Quality()], rows, kind="example").rows.num_rows == len(rows)


def test_quality_phrases_file_adds_furniture(tmp_path: Path) -> None:
    listed = tmp_path / "phrases.txt"
    listed.write_text("오늘의 특가\n선착순 마감\n지금 바로 신청\n", encoding="utf-8")
    text = "오늘의 특가 선착순 마감 지금 바로 신청"
    assert rules(run([text], phrases=str(listed))) == ["boilerplate"]
    assert "boilerplate" not in rules(run([text]))


def test_quality_identity_follows_the_content_of_the_phrases_file(tmp_path: Path) -> None:
    listed = tmp_path / "phrases.txt"
    listed.write_text("하나", encoding="utf-8")
    before = Quality(phrases=str(listed)).identity()
    listed.write_text("둘", encoding="utf-8")
    assert Quality(phrases=str(listed)).identity() != before


def test_quality_batches_of_any_size_give_the_same_drops() -> None:
    rows = [{"text": text} for texts in (GOOD, *BAD.values()) for text in texts]
    drops = [apply([Language(), Quality()], rows, batch_rows=size).drops.to_pylist() for size in (1, 7, 1000)]
    assert drops[0] == drops[1] == drops[2]
    assert drops[0]


def test_quality_tables_name_only_what_exists() -> None:
    """Every threshold of a profile is a setting, every setting belongs to a rule, and phrases are listed once."""
    settings = {rule.setting for rule in RULES}
    assert settings <= set(Quality.model_fields)
    assert all(set(thresholds) <= settings for thresholds in PROFILES.values())
    assert len({rule.name for rule in RULES}) == len(RULES) == len(settings)
    assert len(set(FURNITURE) | set(MENU)) == len(FURNITURE) + len(MENU)


def test_quality_unknown_or_impossible_setting_is_refused() -> None:
    for wrong in ({"max_symbol_share": 2}, {"min_words": -1}, {"profile": "web-fr"}, {"minwords": 3}):
        with pytest.raises(ValidationError):
            Quality(**wrong)


def sample_documents() -> Iterator[tuple[tuple[str, str], str]]:
    """((file, source id), text) of the line-based sample files: news, forum, notes, tickets, reviews."""
    for path in sorted((SAMPLES / "corpus").iterdir()):
        name = f"corpus/{path.name}"
        raw = (
            gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() if path.is_file() else b""
        )
        if ".jsonl" in path.name:
            rows = [json.loads(line) for line in raw.splitlines()]
        elif path.suffix == ".json":
            rows = json.loads(raw)
        elif path.suffix in (".csv", ".tsv"):
            text = raw.decode("cp949" if path.suffix == ".csv" else "utf-8")
            rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter="," if path.suffix == ".csv" else "\t"))
        else:
            continue
        yield from (((name, row["id"]), row["text"]) for row in rows)


def test_cleaning_sample_data_drops_what_is_planted_and_keeps_what_is_clean() -> None:
    truth = {}
    for path in sorted((SAMPLES / "truth").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            truth[row["file"], row["source_id"]] = row
    documents = dict(sample_documents())
    if not truth or not documents:
        pytest.skip("sample_data is not here")
    rows = [{"id": f"{n}", "text": text} for n, text in enumerate(documents.values())]
    applied = apply([Normalize(), Language(keep=["ko", "en"]), Quality()], rows)
    kept = dict(zip(applied.rows.column("id").to_pylist(), applied.rows.column("text").to_pylist(), strict=True))
    gone = {key for n, key in enumerate(documents) if f"{n}" not in kept}
    planted = {
        key for key in documents if truth.get(key, {}).get("defect") in ("low_quality", "boilerplate", "wrong_language")
    }
    assert len(gone & planted) >= 0.95 * len(planted)
    assert len(gone & planted) >= 0.95 * len(gone)
    for n, key in enumerate(documents):
        if truth.get(key, {}).get("defect") == "mojibake":
            assert kept[f"{n}"].split() == truth[key]["note"].split()
