"""Bad input to PII removal, clause by clause: hostile texts stay cheap and hide nothing, whatever fails fails closed,
and no value is told anywhere. Work is counted here; seconds stand in `bench_pii`.
"""

from __future__ import annotations

import html
import json
import logging
import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit import redaction
from datakit.errors import StageError
from datakit.runner import apply
from datakit.stages.pii import Pii, judge, scan
from datakit.stages.pii.judge import Judge
from datakit.stages.pii.operators import tag
from datakit.stages.pii.redact import redact
from datakit.stages.pii.rules import ENTITY_TYPES
from datakit.stages.pii.scan import DigitRules, Scanner
from datakit.stages.pii.spans import TooDenseError
from tests.command_line import Called, call, pipeline_file
from tests.test_pii_rules import MAKERS, NAMED_BY_LABEL, PARTICLES, covered

FIND = Scanner()
EMAIL = "hong@naver.com"
PROSE = "회의에서는 지난 분기에 접수된 문의를 유형별로 나누어 살펴보았고, 답변이 늦어진 까닭과 고칠 점을 정리했습니다. "


def written(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def value_of(entity: str, rng: random.Random) -> tuple[str, str]:
    """(text with its label, the value itself) of an invented value."""
    whole = MAKERS[entity](rng)
    return whole, whole.rsplit(" ", 1)[-1] if entity in NAMED_BY_LABEL else whole


# --- size: one long line, and text made to be slow --------------------------------------------------------------------


def long_line(characters: int, step: int) -> tuple[str, list[tuple[int, int]]]:
    """One line of prose with an address across every multiple of `step`, and where the addresses stand."""
    filler, parts, places, at = PROSE * (step // len(PROSE) + 2), [], [], 0
    for number, border in enumerate(range(step, characters, step)):
        address = f"user{number:05}@naver.com"
        begin = border - number % len(address)
        parts += [filler[: begin - at - 1], " ", address, "으로 "]
        places.append((begin, begin + len(address)))
        at = begin + len(address) + 3
    return "".join(parts), places


def test_ten_megabyte_line_has_every_value_found_across_any_border() -> None:
    text, places = long_line(4_200_000, 1 << 12)
    assert len(text.encode()) > 10_000_000
    assert "\n" not in text
    assert [(span.start, span.end) for span in FIND(text)] == places


class Work:
    """What the engine does: matches weighed, and characters handed to patterns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.weighed = self.read = 0
        weigh, matches, in_run = Judge.weigh, scan.matches, DigitRules._in_run

        def counted_weigh(own: Judge, rule: Any, start: int, end: int) -> Any:
            self.weighed += 1
            return weigh(own, rule, start, end)

        def counted_matches(rule: Any, own: Judge, low: int, high: int) -> Any:
            self.read += min(high, len(own.text)) - low
            return matches(rule, own, low, high)

        def counted_run(own: DigitRules, seen: Judge, low: int, high: int, digits: int) -> Any:
            self.read += high - low
            return in_run(own, seen, low, high, digits)

        monkeypatch.setattr(Judge, "weigh", counted_weigh)
        monkeypatch.setattr(scan, "matches", counted_matches)
        monkeypatch.setattr(DigitRules, "_in_run", counted_run)

    def of(self, text: str) -> tuple[int, int]:
        """(matches weighed, characters read by patterns) for one text."""
        self.weighed = self.read = 0
        FIND(text)
        return self.weighed, self.read


def test_work_on_a_long_line_grows_with_its_length_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch)
    short, long = work.of(long_line(200_000, 1 << 11)[0]), work.of(long_line(800_000, 1 << 11)[0])
    assert 3.8 < long[0] / short[0] < 4.2
    assert 3.8 < long[1] / short[1] < 4.2
    assert short[1] < 200_000 / 10


HOSTILE = {
    "dotted letters": ("a.", 100_000),
    "dashed letters": ("a-", 100_000),
    "dashed digits": ("1-1-", 100_000),
    "spaced digits": ("1 ", 100_000),
    "dotted digits": ("1.1.", 100_000),
    "digits": ("7", 100_000),
    "at signs": ("@", 100_000),
    "addresses without an end": ("a@a.", 100_000),
    "300,000 links without a host": ("://", 900_000),
    "brackets": ("(", 100_000),
    "colons": ("0:0", 100_000),
    "labels": ("이름:", 100_000),
    "roles": ("예금주 ", 100_000),
    "districts": ("서울 강남구 ", 100_000),
    "assignments": ("password=", 100_000),
    "queries": ("?key=", 100_000),
    "tokens": ("eyJ", 100_000),
    "bearers": ("bearer ", 100_000),
    "commands": ("mysql -p ", 100_000),
    "armours": ("-----BEGIN ", 100_000),
    "heads of tables": ("계좌번호,이름\n", 100_000),
    "one long head": ("이름,", 100_000),
    "bars": ("|", 100_000),
    "zero-width": ("\u200b", 100_000),
    "lone surrogates": ("\ud800", 100_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_bounded_and_the_address_at_its_end_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, size = HOSTILE[name]
    work, done = Work(monkeypatch), []
    for share in (8, 1):
        text = unit * (size // share // len(unit)) + f" 메일은 {EMAIL}으로"
        done.append(work.of(text))
        assert covered(text, FIND(text), EMAIL)
    assert done[1][0] <= 8.5 * done[0][0] + 100
    assert done[1][1] <= 8.5 * done[0][1] + 5_000
    assert done[1][1] <= 80 * size


def test_work_that_grows_with_the_square_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted breach: windows that are not joined read a long text over and over."""

    def apart(text: str, places: Any, back: int, ahead: int, *, solid: bool) -> Any:
        return ((0, place + ahead) for place in places)

    monkeypatch.setattr(scan, "_windows", apart)
    work = Work(monkeypatch)
    assert work.of("@" * 8_000)[1] > 32 * work.of("@" * 1_000)[1]


# --- over the cap -----------------------------------------------------------------------------------------------------


@pytest.fixture
def low_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "MOST", 50)


DENSE = [
    {"id": "calm", "text": "봄이 왔다"},
    {"id": "dense", "text": "010-1234-5678 " * 60},
    {"id": "mail", "text": EMAIL},
]


@pytest.mark.usefixtures("low_cap")
def test_document_over_the_candidate_cap_is_quarantined_and_named_in_a_run(here: Path) -> None:
    written(here / "a.jsonl", DENSE)
    told = call("run", pipeline_file("{use: ingest, files: a.jsonl}", "{use: pii}"), "--json")
    assert told.code == 0, told.err
    assert told.json["rows"] == 2
    assert [stage["rules"] for stage in told.json["stages"] if stage["id"] == "pii"] == [{"pii_limit": 1}]
    story = call("why", "a.jsonl:2", "--json").json["story"]
    assert [(line["what"], line["rule"]) for line in story if line["stage"] == "pii"] == [("dropped", "pii_limit")]
    assert "5678" not in call("show", "p", "--json").out


@pytest.mark.usefixtures("low_cap")
def test_row_over_the_candidate_cap_is_named_and_left_out_by_redact_and_scan(here: Path) -> None:
    source = written(here / "a.jsonl", DENSE)
    call("pii", "redact", source, "out.jsonl").is_an_error(4, "1 of 3 rows", "line 2")
    assert [json.loads(line)["id"] for line in Path("out.jsonl").read_text().splitlines()] == ["calm", "mail"]
    scanned = call("pii", "scan", source, "--json").is_an_error(4, "a.jsonl:2")
    *found, error = map(json.loads, scanned.out.splitlines())
    assert [one["id"] for one in found] == ["calm", "mail"]
    assert error["where"] == "a.jsonl:2"


def test_the_cap_counts_every_match_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "010-1234-5678 " * 20
    weighed, _ = Work(monkeypatch).of(text)
    monkeypatch.setattr(judge, "MOST", weighed)
    FIND(text)
    monkeypatch.setattr(judge, "MOST", weighed - 1)
    with pytest.raises(TooDenseError):
        FIND(text)


# --- strange characters -----------------------------------------------------------------------------------------------

STRANGE = {
    "NUL": "\x00",
    "lone high surrogate": "\ud83d",
    "lone low surrogate": "\udcff",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff",
    "right-to-left override": "\u202e",
    "variation selector": "\ufe0f",
    "tag character": "\U000e0041",
}


@pytest.mark.parametrize("entity", ENTITY_TYPES)
@pytest.mark.parametrize("name", STRANGE)
def test_strange_character_inside_a_value_neither_raises_nor_hides_it(name: str, entity: str) -> None:
    rng = random.Random(f"{name} {entity}")
    for _ in range(4):
        whole, value = value_of(entity, rng)
        place = rng.choice([at for at in range(1, len(value)) if value[at - 1].isalnum() and value[at].isalnum()])
        broken = value[:place] + STRANGE[name] + value[place:]
        text = f"어제 {whole.removesuffix(value)}{broken}{rng.choice(PARTICLES)} 적었다"
        assert covered(text, FIND(text), broken)
        (clean,) = redact([text], FIND, lambda entity, value, lang: tag(entity, lang)).texts
        assert not any(part in clean for part in (value, value[place:]) if len(part) > 4)


@pytest.mark.parametrize("entity", [entity for entity in ENTITY_TYPES if entity not in {"PERSON", "ADDRESS"}])
def test_full_width_value_is_found(entity: str) -> None:
    rng = random.Random(entity)
    wide = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
    for _ in range(10):
        whole, value = value_of(entity, rng)
        text = f"어제 {whole.removesuffix(value)}{value.translate(wide)}라고 적었다"
        assert covered(text, FIND(text), value.translate(wide))


def test_rows_with_strange_characters_are_written_again(here: Path) -> None:
    rows = [{"text": f"{char}글 010-12{char}34-5678로"} for char in STRANGE.values()]
    done = redaction.redact(written(here / "a.jsonl", rows), "out.jsonl", stage=Pii())
    out = [json.loads(line)["text"] for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert done.values == {"PHONE": len(STRANGE)}
    assert out == [f"{char}글 [전화번호]로" for char in STRANGE.values()]


# --- fields that hold no text -----------------------------------------------------------------------------------------


def test_fields_that_hold_no_text_are_skipped_and_counted(here: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": 17},
        {"text": ["010-1234-5678"]},
        {"text": {"a": [[[["x"]]]]}},
        {"text": None},
        {"messages": [{"role": "user", "content": 3}, "x", {"role": "user", "content": EMAIL}]},
        {"instruction": EMAIL, "input": False, "output": ""},
    ]
    source = written(here / "a.jsonl", rows)
    told = call("pii", "redact", source, "out.jsonl", "--json")
    assert (told.json["rows"], told.json["written"], told.json["skipped"]) == (6, 6, 6)
    assert "6 fields held no text" in call("pii", "redact", source, "out.jsonl").out
    assert "6 fields held no text" in call("pii", "scan", source).out
    out = [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert out[:4] == rows[:4]
    assert out[4]["messages"][:2] == rows[4]["messages"][:2]
    assert out[5]["input"] is False
    assert EMAIL not in json.dumps(out)


# --- failing closed ---------------------------------------------------------------------------------------------------


def quoting(own: Judge, rule: Any, start: int, end: int) -> Any:
    raise ValueError(f"cannot weigh {own.text[start:end]} in {own.text}")


TWO = [{"id": "a", "text": "봄이 왔다"}, {"id": "b", "text": f"메일 {EMAIL} {'가나' * 30}다라"}]


def holds_closed(here: Path, *settings: str, scans: bool = True) -> None:
    """Hold that whatever is broken stops the run, leaves the row out of OUT, and never tells its text."""
    source = written(here / "a.jsonl", TWO)
    options = [word for setting in settings for word in ("--set", setting)]
    redacted = call("pii", "redact", source, "out.jsonl", *options).is_an_error(4, "1 of 2 rows", "line 2")
    assert [json.loads(line)["id"] for line in Path("out.jsonl").read_text().splitlines()] == ["a"]
    scanned = call("pii", "scan", source, *options)
    if scans:
        scanned.is_an_error(4, "a.jsonl:2")
    own = "".join(f", {setting.replace('=', ': ', 1)}" for setting in settings)
    ran = call("run", pipeline_file("{use: ingest, files: a.jsonl}", f"{{use: pii{own}}}"))
    ran.is_an_error(4, "not passed on" if not scans else "no text was passed on")
    assert list(Path("store").glob("names/*")) == []
    assert not any("naver" in told or "가나" in told for one in (redacted, scanned, ran) for told in (one.out, one.err))


def test_exception_of_a_validator_fails_closed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Judge, "_weigh", quoting)
    holds_closed(here)


def test_time_out_fails_closed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datakit.stages.pii.wishes.PATIENCE", 0.05)
    holds_closed(here, "own_rules=[{entity: SLOW, pattern: '(?:가|나|가나)+라(?=마)'}]")


def test_line_over_the_size_limit_fails_closed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "LONGEST_LINE", 60)
    source = written(here / "a.jsonl", [{"text": EMAIL}, {"text": f"{EMAIL} " * 9}])
    call("pii", "redact", source, "out.jsonl").is_an_error(3, "a.jsonl:2", "too long")
    call("pii", "scan", source).is_an_error(3, "a.jsonl:2", "too long")
    assert sorted(path.name for path in here.iterdir() if path.is_file()) == ["a.jsonl"]


def test_output_that_still_holds_a_value_fails_the_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look at every text: an operator that leaves a value in place never gets it through."""
    monkeypatch.setattr("datakit.stages.pii.operators.tag", lambda entity, lang: f"[{EMAIL}]")
    holds_closed(here, scans=False)


# --- no value is told -------------------------------------------------------------------------------------------------


def canaries(count: int = 1_000) -> tuple[list[str], list[dict[str, Any]]]:
    """Values of all types, and rows that hold one each, in Korean and English sentences, messages and ids."""
    rng, values, rows = random.Random(11), [], []
    for number in range(count):
        whole, value = value_of(ENTITY_TYPES[number % len(ENTITY_TYPES)], rng)
        form = f"문의 {whole}{rng.choice(PARTICLES)} 남김" if number % 2 else f"Note: {whole}, as agreed."
        values.append(value)
        rows.append({"id": number, "text": form} if number % 3 else {"id": value, "text": form})
    return values, rows


def leaked(values: list[str], texts: dict[str, str]) -> dict[str, str]:
    """Where a value is told in full, plain or escaped: the place and the value."""
    spelled = {form: value for value in values for form in (value, json.dumps(value)[1:-1], html.escape(value))}
    # Names and addresses are short: one may be a word of ours. All that shows a digit is unmistakable.
    sure = re.compile("|".join(re.escape(form) for form in sorted(spelled, key=len, reverse=True) if len(form) > 5))
    return {place: found[0] for place, text in texts.items() if (found := sure.search(text))}


def told_in(folder: Path, *, without: frozenset[str] = frozenset()) -> dict[str, str]:
    """All that the files of a folder say, by path; `without`: names of files that may hold values."""
    import pyarrow.parquet as pq

    texts = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in without:
            parquet = path.suffix == ".parquet"
            texts[str(path)] = str(pq.read_table(path).to_pylist()) if parquet else path.read_text("utf-8", "replace")
    return texts


def chain_of(error: BaseException | None) -> str:
    told = []
    while error is not None:
        told.append(f"{error} {error.args}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " ".join(told)


@pytest.fixture
def loud(caplog: pytest.LogCaptureFixture) -> Callable[..., dict[str, str]]:
    """Everything logged from DEBUG on, and what commands printed."""
    caplog.set_level(logging.DEBUG)

    def heard(*commands: Called) -> dict[str, str]:
        logs = {"log": caplog.text, "records": " ".join(f"{r.msg} {r.args} {r.exc_info}" for r in caplog.records)}
        return logs | {
            f"{kind} {n}": text
            for n, one in enumerate(commands)
            for kind, text in zip("oe", (one.out, one.err), strict=True)
        }

    return heard


def raw_files(store: Path) -> frozenset[str]:
    """The data shards of ingest: they hold the texts as they were."""
    shards = told_in(store)
    return frozenset(
        Path(path).name
        for path, text in shards.items()
        if path.endswith(".parquet") and "문의 " in text and "[전화번호]" not in text
    )


RUN = ("{use: ingest, files: in}", "normalize", "{use: pii, max_spans: 1}")


def test_thousand_canaries_are_told_nowhere_by_a_run(here: Path, loud: Callable[..., dict[str, str]]) -> None:
    values, rows = canaries()
    (here / "in").mkdir()
    written(here / "in" / "a.jsonl", rows)
    ran = call("run", pipeline_file(*RUN))
    assert ran.code == 0, ran.err
    page = call("report", "p", "--out", "page.html")
    told = loud(ran, page, call("plan", "p.yaml"), call("why", "a.jsonl:4"), call("show", "p"), call("ls"))
    raw = raw_files(here / "store")
    assert len(raw) == 1
    assert leaked(values, told | told_in(here, without=raw | {"a.jsonl"})) == {}
    assert len(leaked(values, told_in(here))) >= 2


@pytest.mark.parametrize("broken", ["validator", "engine"])
def test_thousand_canaries_are_told_nowhere_by_a_run_that_fails(
    broken: str, here: Path, loud: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_quoting(*given: Any, **more: Any) -> Any:
        raise ValueError(f"{given} {more}")

    if broken == "validator":
        monkeypatch.setattr(Judge, "_weigh", quoting)
    else:
        monkeypatch.setattr(scan, "resolve", raise_quoting)
    values, rows = canaries()
    (here / "in").mkdir()
    source = written(here / "in" / "a.jsonl", rows)
    commands = [
        call("run", pipeline_file(*RUN)),
        call("pii", "scan", source),
        call("pii", "redact", source, "out.jsonl"),
    ]
    assert [one.code for one in commands] == [4, 4, 4]
    with pytest.raises(StageError) as caught:
        apply(Pii(), [{"id": str(n), "source_id": str(n), "text": row["text"]} for n, row in enumerate(rows)])
    told = loud(*commands) | {"chain": chain_of(caught.value)}
    assert leaked(values, told | told_in(here, without=raw_files(here / "store") | {"a.jsonl"})) == {}


def test_thousand_canaries_are_told_nowhere_by_scan_and_redact(here: Path, loud: Callable[..., dict[str, str]]) -> None:
    values, rows = canaries()
    rows = [row | {"id": number} for number, row in enumerate(rows)]
    source = written(here / "a.jsonl", rows)
    table, lines = call("pii", "scan", source), call("pii", "scan", source, "--json")
    redacted = call("pii", "redact", source, "out.jsonl")
    assert [one.code for one in (table, lines, redacted)] == [0, 0, 0]
    assert sum(bool(json.loads(line)["spans"]) for line in lines.out.splitlines()) == len(rows)
    assert leaked(values, loud(table, lines, redacted) | told_in(here, without=frozenset({"a.jsonl"}))) == {}


# --- the same again, offline, nothing else touched --------------------------------------------------------------------


def mixed(count: int = 120) -> list[dict[str, Any]]:
    rng = random.Random(5)
    return [
        {
            "id": n,
            "text": " ".join(f"{MAKERS[rng.choice(ENTITY_TYPES)](rng)}{rng.choice(PARTICLES)} 적음." for _ in "abc"),
        }
        for n in range(count)
    ]


@pytest.mark.parametrize("operator", ["tag", "mask", "partial", "surrogate", "hash"])
def test_redacting_what_was_redacted_changes_no_byte(
    operator: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAKIT_PII_KEY", "a rather long secret")
    source = written(here / "a.jsonl", mixed())
    for one, two in ((source, "b.jsonl"), ("b.jsonl", "c.jsonl")):
        told = call("pii", "redact", one, two, "--set", f"operator={operator}")
        assert told.code == 0, told.err
    assert Path("b.jsonl").read_bytes() == Path("c.jsonl").read_bytes()
    assert Path("b.jsonl").read_bytes() != Path(source).read_bytes()


def test_redacting_gives_the_same_bytes_for_any_hash_seed(here: Path) -> None:
    source = written(here / "a.jsonl", mixed(60))
    for seed in ("0", "1"):
        command = [
            sys.executable,
            "-m",
            "datakit",
            "pii",
            "redact",
            source,
            f"out{seed}.jsonl",
            "--set",
            "operator=surrogate",
        ]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed})
    assert Path("out0.jsonl").read_bytes() == Path("out1.jsonl").read_bytes()


def test_whole_run_scan_and_redact_open_no_socket(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **more: Any) -> Any:
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    source = written(here / "a.jsonl", mixed(20))
    for told in (
        call("run", pipeline_file("{use: ingest, files: a.jsonl}", "normalize", "{use: pii, operator: surrogate}")),
        call("pii", "scan", source),
        call("pii", "redact", source, "out.jsonl"),
    ):
        assert told.code == 0, told.err


_MADE = random.Random(3)
_PIECES = [value_of(entity, _MADE)[0] for entity in ENTITY_TYPES for _ in range(2)]
_JUNK = st.text(
    st.sampled_from("가나다 \n\t\r\u200b\ufeff\u3000…“”é각\U0001f600ab,.;:|[]{}\\\"'\x00\ud800"), max_size=12
)


@given(st.lists(st.one_of(_JUNK, st.sampled_from(_PIECES)), max_size=8))
@settings(max_examples=150, deadline=None)
def test_text_outside_the_spans_is_identical_to_the_character(parts: list[str]) -> None:
    """Round by round: what stands between the places that were replaced stands there unchanged."""
    text = " ".join(parts)
    done = redact([text], FIND, lambda entity, value, lang: tag(entity, lang))
    for edits in done.edits[0]:
        places = [0, *(place for start, end, _ in edits for place in (start, end)), len(text)]
        kept = [text[start:end] for start, end in zip(places[::2], places[1::2], strict=True)]
        last = done.texts[0] if edits is done.edits[0][-1] else None
        text = "".join(f"{part}{'#' * length}" for part, (_, _, length) in zip(kept, [*edits, (0, 0, 0)], strict=True))
        if last is not None:
            assert len(last) == len(text)
            assert all(one == two for one, two in zip(last, text, strict=True) if two != "#")
    if not done.edits[0]:
        assert done.texts[0] == text


def test_redact_writes_whole_or_not_at_all(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("out.jsonl").write_text("what was there", encoding="utf-8")
    source = written(here / "a.jsonl", mixed(5))
    rows, whole = iter(range(3)), redaction.dumps

    def full(row: Any) -> bytes:
        if next(rows) == 2:
            raise OSError(28, "No space left on device")
        return whole(row)

    monkeypatch.setattr(redaction, "dumps", full)
    with pytest.raises(OSError, match="No space"):
        redaction.redact(source, "out.jsonl", stage=Pii())
    assert Path("out.jsonl").read_text(encoding="utf-8") == "what was there"
    assert sorted(path.name for path in here.iterdir() if path.is_file()) == ["a.jsonl", "out.jsonl"]
