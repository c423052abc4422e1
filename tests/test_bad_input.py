"""Bad input, end to end: one clear error with the right exit code or a counted drop, and never a word of the text.

Every bad file holds invented personal data; after every run nothing that datakit says or records may hold it. (The raw
shards of a store do, until `pii`.)
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.command_line import Called, call, pipeline_file

CANARIES = ("900101-1234568", "canary.kim@mail.example", "010-9876-5432")
SECRET = f"주민번호 {CANARIES[0]}, mail {CANARIES[1]}, 전화 {CANARIES[2]}"
OWN = Path(__file__).with_name("stages_of_ones_own.py")
INGEST = "{use: ingest, files: data}"
CLEAN = (INGEST, "normalize", "{use: pii}")


def good(count: int = 2) -> list[bytes]:
    return [json.dumps({"text": f"{n}번째 글입니다. {SECRET}"}, ensure_ascii=False).encode() for n in range(count)]


def data(*lines: bytes, name: str = "a.jsonl") -> Path:
    path = Path("data") / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\n".join(lines))
    return path


def keeps_the_secret(told: Called, *stores: str) -> Called:
    """Hold that no canary is in what was printed, in any record, or in any drop."""
    texts = {"stdout": told.out, "stderr": told.err}
    for store in stores or ("store",):
        for path in sorted(Path(store).rglob("*")):
            if path.suffix == ".json":
                texts[str(path)] = path.read_text(encoding="utf-8")
            elif path.name.endswith(".drops.parquet"):
                texts[str(path)] = str(pq.read_table(path).to_pylist())
    leaks = [place for place, text in texts.items() if any(canary in text for canary in CANARIES)]
    assert not leaks
    return told


def run(*stages: str, more: str = "", options: tuple[object, ...] = ()) -> Called:
    return keeps_the_secret(call("run", pipeline_file(*stages, more=more), *options))


def funnel(told: Called) -> dict[str, dict[str, int]]:
    """What each stage dropped by which rule."""
    assert told.code == 0, told.err
    return {stage["id"]: stage["rules"] for stage in told.json["stages"]}


def test_a_leak_would_be_seen(here: Path) -> None:
    data(*good())
    told = run(*CLEAN)
    with pytest.raises(AssertionError, match="stdout"):
        keeps_the_secret(Called(0, SECRET, ""))
    (here / "store" / "names" / "x.json").write_text(SECRET, encoding="utf-8")
    with pytest.raises(AssertionError, match="names"):
        keeps_the_secret(told)


@pytest.mark.parametrize(
    "bad",
    [
        f'{{"text": "{SECRET}'.encode(),
        f'{{"text": "{SECRET}"}} {{'.encode(),
        f'{{"text": "{SECRET}'.encode() + b'\xff\xfe"}',
        f'{{"text": "{SECRET}'.encode() + b'\x00"}',
        f'["{SECRET}"]'.encode(),
    ],
    ids=["cut off", "two in a line", "no UTF-8", "raw NUL", "no object"],
)
def test_a_line_that_cannot_be_read_is_a_counted_drop_with_its_place(here: Path, bad: bytes) -> None:
    data(good()[0], bad, good()[1])
    told = run(*CLEAN, options=("--json",))
    assert funnel(told)["ingest"] == {"unreadable": 1}
    assert told.json["rows"] == 2
    story = keeps_the_secret(call("why", "a.jsonl:2", "--json")).json["story"]
    assert [(line["stage"], line["what"], line["rule"]) for line in story] == [("ingest", "dropped", "unreadable")]


def test_an_escaped_nul_is_taken_out_of_the_text(here: Path) -> None:
    data(json.dumps({"text": f"글\x00자 {SECRET}"}).encode())
    assert run(*CLEAN, options=("--json",)).json["rows"] == 1
    text = keeps_the_secret(call("show", "p", "--json")).json[0]["text"]
    assert "\x00" not in text
    assert text.startswith("글자")


def test_a_file_of_broken_lines_is_a_source_error(here: Path) -> None:
    data(*[f'{{"text": "{SECRET}'.encode()] * 50, *good())
    run(*CLEAN).is_an_error(3, "a.jsonl", "fix: ")


def test_a_line_of_ten_megabytes_is_read_or_counted(here: Path) -> None:
    data(*good(), json.dumps({"text": f"{SECRET} " + "긴 글 " * 1_300_000}, ensure_ascii=False).encode())
    assert Path("data/a.jsonl").stat().st_size > 10_000_000
    assert run(INGEST, "normalize", options=("--json",)).json["rows"] == 3
    small = run(INGEST, "normalize", options=("--json", "--set", "ingest.max_row_mb=1"))
    assert funnel(small)["ingest"] == {"too_large": 1}


def test_an_empty_file_beside_others_is_no_matter(here: Path) -> None:
    data(name="empty.jsonl")
    data(name="empty.csv")
    data(*good())
    assert run(*CLEAN, options=("--json",)).json["rows"] == 2


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt", "a.html", "a.json"])
def test_an_empty_file_alone_gives_no_rows_and_no_traceback(here: Path, name: str) -> None:
    data(name=name)
    told = run(*CLEAN, "dedup", "{use: synthesize}", "split", options=("--json",))
    assert (told.code, told.json["rows"]) == (0, 0)


def test_an_empty_parquet_file_is_a_source_error(here: Path) -> None:
    data(name="a.parquet")
    run(*CLEAN).is_an_error(3, "a.parquet", "fix: ")


@pytest.mark.parametrize(
    ("name", "lines"),
    [("a.jsonl", good()), ("a.csv", [b"text,n", SECRET.replace(",", "").encode() + b",1"])],
)
def test_a_file_without_the_text_column_is_a_source_error_with_the_columns(
    here: Path, name: str, lines: list[bytes]
) -> None:
    data(*lines, name=name)
    run("{use: ingest, files: data, text: body}", "normalize").is_an_error(3, name, "'body'", "text", "fix: ")


def test_a_folder_without_files_and_a_missing_file_are_source_errors(here: Path) -> None:
    Path("data").mkdir()
    run(*CLEAN).is_an_error(3, "where: data", "fix: ")
    run("{use: ingest, files: nowhere.jsonl}").is_an_error(3, "nowhere.jsonl", "fix: ")
    run("{use: ingest, files: 'none/*.jsonl'}").is_an_error(3, "none/*.jsonl", "fix: ")


def test_unknown_keys_and_stages_are_told_together_with_the_nearest_names(here: Path) -> None:
    told = run(INGEST, "{use: quallity}", "{use: dedup, treshold: 0.9}", "{use: pii, engine: fats}", more="trian: {}\n")
    told.is_an_error(2, "p.yaml", "'quality'", "'threshold'", "'train'", "engine")


def test_kinds_that_do_not_chain_are_refused_with_the_bridge(here: Path) -> None:
    data(*good())
    run(INGEST, "pack").is_an_error(2, "stages[1] pack", "`tokenize`")
    run("normalize", INGEST).is_an_error(2, "stages[0] normalize", "`ingest`")


def test_a_fault_in_a_stage_of_ones_own_never_tells_the_text(here: Path) -> None:
    data(*good())
    for options in ((), ("--workers", 2)):
        told = run(*CLEAN[:2], f"{{use: '{OWN}:Whisperer'}}", options=options)
        told.is_an_error(4, "whisperer", "ValueError", "where: a.jsonl", "--debug")


def test_a_damaged_store_is_a_store_error_that_names_the_file(here: Path) -> None:
    data(*good())
    run(*CLEAN)
    shard = next(path for path in sorted(Path("store/objects").rglob("*.parquet")) if "drops" not in path.name)
    for place in (*Path("store/objects").rglob("*.parquet"), *Path("store/names").glob("*.json")):
        place.write_bytes(b"broken " + SECRET.encode())
    keeps_the_secret(call("run", "p.yaml"), "nothing").is_an_error(6, "damaged", "doctor")
    keeps_the_secret(call("show", "p", "--raw"), "nothing").is_an_error(6, "damaged", "store/names")
    assert shard.exists()


def test_an_endpoint_that_is_down_is_a_teacher_error_and_what_is_done_stays(here: Path) -> None:
    seeds = [
        {"id": f"s{n}", "language": "ko", "instruction": f"{n}번 과제를 {SECRET}", "is_classification": False,
         "instances": [{"input": "", "output": "답"}]}
        for n in range(8)
    ]  # fmt: skip
    Path("seeds.jsonl").write_text("\n".join(json.dumps(seed, ensure_ascii=False) for seed in seeds), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    for recipe in ("self_instruct", "alpaca"):
        teacher = (
            f"{{use: synthesize, recipe: {recipe}, seeds: seeds.jsonl, teacher: {{base_url: '{address}', model: m}}}}"
        )
        run(teacher).is_an_error(8, address, "fix: ")


def test_a_missing_base_model_is_told_and_the_dataset_stays(here: Path, tiny_llama: Path) -> None:
    data(*good(8))
    tail = (f"{{use: tokenize, tokenizer: '{tiny_llama}', max_length: 64}}", "{use: pack, seq_len: 64}")
    told = run(*CLEAN, *tail, more="train: {use: lora, base: no/such/folder}\n")
    told.is_an_error(7, "no/such/folder", "fix: ")
    assert call("plan", "p.yaml", "--json").json[-1]["reuse"] == 1
    run(*CLEAN, *tail[1:], "{use: tokenize, tokenizer: no/such/tokenizer}").is_an_error(2)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system in memory at `folder`; skips where mounting is not allowed."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_store_that_cannot_be_written_is_a_store_error(here: Path) -> None:
    data(*good())
    with mounted(here / "locked", "ro,size=64k") as locked:
        run(*CLEAN, options=("--store", locked / "store")).is_an_error(6, "read-only", "--store")
        Path("plain").write_text("")
        run(*CLEAN, options=("--store", "plain/store")).is_an_error(6, "--store")
        told = run(*CLEAN, f"{{use: export, format: jsonl, path: '{locked}/out'}}")
        told.is_an_error(6, "locked/out")
        assert run(*CLEAN).code == 0
        call("report", "p", "--out", locked / "report.html").is_an_error(6, "report.html", "--out")
        call("init", locked / "project").is_an_error(6, "project")


def bytes_of(store: Path) -> dict[str, bytes]:
    rooms = ("objects", "steps", "parts")
    return {
        str(p.relative_to(store)): p.read_bytes() for room in rooms for p in (store / room).rglob("*.*") if p.is_file()
    }


def test_a_full_disk_is_a_store_error_and_the_next_run_gives_the_same_bytes(here: Path) -> None:
    for name in range(12):
        rows = [{"text": f"{SECRET} {os.urandom(3000).hex()}"} for _ in range(10)]
        data(*[json.dumps(row, ensure_ascii=False).encode() for row in rows], name=f"{name}.jsonl")
    with mounted(here / "small", "size=4m") as small:
        ballast = small / "ballast"
        ballast.write_bytes(bytes(3_600_000))
        store = small / "store"
        stages = (f"{{use: '{OWN}:OneByOne', files: data}}", *CLEAN[1:])
        keeps_the_secret(call("run", pipeline_file(*stages), "--store", store), str(store)).is_an_error(
            6, "the disk is full", "free some space"
        )
        finished = bytes_of(store)
        assert any(name.startswith("steps") for name in finished)
        ballast.unlink()
        again = keeps_the_secret(call("run", "p.yaml", "--store", store, "--json"), str(store))
        assert again.code == 0, again.err
        assert again.json["reused"] > 0
        assert keeps_the_secret(call("run", "p.yaml", "--store", "roomy")).code == 0
        assert bytes_of(small / "store") == bytes_of(Path("roomy"))
        assert finished.items() <= bytes_of(small / "store").items()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(here: Path, workers: int) -> None:
    for name in range(60):
        data(*good(40), name=f"{name:02}.jsonl")
    stages = (f"{{use: '{OWN}:OneByOne', files: data}}", *["normalize"] * 6, "{use: pii}")
    command = [sys.executable, "-m", "datakit", "run", pipeline_file(*stages), "--workers", str(workers), "--json"]
    # A group of its own: Ctrl-C at a terminal reaches the workers, too.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(lambda: len(list(Path("store/steps").rglob("*.json"))) >= 3)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    told = keeps_the_secret(Called(process.returncode, out, err))
    assert told.code == 130
    assert told.json["error"] == "Interrupted"
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "interrupted: run the same command again, it goes on where it stopped"
    again = keeps_the_secret(call("run", "p.yaml", "--json")).json
    assert again["reused"] >= 3
    assert keeps_the_secret(call("run", "p.yaml", "--store", "whole"), "whole").code == 0
    assert bytes_of(Path("store")) == bytes_of(Path("whole"))
