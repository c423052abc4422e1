"""Hostile input: bombs, archives that point outside, entities, pages that would run, pickles and remote code."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
import zstandard

from datakit.errors import SourceError
from datakit.pipeline import Pipeline
from datakit.reporting import write_report
from datakit.runner import run
from datakit.stages.ingest import Ingest, files
from datakit.stages.pii import Pii
from datakit.store import Store
from tests.conftest import ROOT
from tests.office_files import docx, zipped
from tests.reading import Read, read

MEGABYTE = 1 << 20
CANARY = "CANARY-OF-ANOTHER-FILE"
SOURCES = [*sorted(ROOT.glob("datakit/**/*.py")), *sorted(ROOT.glob("plugins/**/*.py"))]

# Bombs


def zeros(pack: Callable[[bytes], bytes], megabytes: int) -> bytes:
    """A packed file of zeros, made of members that are packed once."""
    return pack(bytes(16 * MEGABYTE)) * (megabytes // 16)


PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("form", ["txt", "jsonl", "csv", "xml", "parquet", "warc", "pdf", "json"])
@pytest.mark.parametrize("packing", PACKERS)
def test_a_packed_file_that_unpacks_without_end_is_one_error(
    tmp_path: Path, form: str, packing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "UNPACKED", 8 * MEGABYTE)
    found = outcome(tmp_path / f"a.{form}.{packing}", zeros(PACKERS[packing], 64))
    assert isinstance(found, str) or found.rows == [], "an error, or a reader that stops at the first wrong byte"
    assert "times its size" in str(found) or form in ("xml", "warc", "json", "csv")


def outcome(path: Path, data: bytes) -> Read | str:
    """What came of a file: what was read, or the lines of the one error that may be raised."""
    try:
        return read(path, data)
    except SourceError as error:
        return "\n".join(error.lines())


@pytest.mark.parametrize("packing", PACKERS)
def test_ten_gigabytes_of_zeros_end_early_in_little_memory(tmp_path: Path, packing: str) -> None:
    """The real bounds, in a process whose memory is watched."""
    bomb = tmp_path / f"bomb.txt.{packing}"
    bomb.write_bytes(zeros(PACKERS[packing], 10_000))
    before = peak("pass", bomb)
    told = peak("list(stage.read(source, Env())) if (source := stage.sources()[0]) else 0", bomb)
    assert "times its size" in told[1]
    assert told[0] - before[0] < 300


def peak(work: str, path: Path) -> tuple[float, str]:
    """What a process says that reads a file, and how many MiB it takes at most."""
    code = (
        "import resource, sys\nfrom datakit.errors import DatakitError\nfrom datakit.stage import Env\n"
        f"from datakit.stages.ingest import Ingest\nimport pyarrow\nstage = Ingest(files=sys.argv[1])\n"
        f"try:\n    {work}\nexcept DatakitError as error:\n    print(error.message)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    *said, size = done.stdout.splitlines()
    return float(size), "\n".join(said)


def test_text_that_repeats_itself_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "UNPACKED", MEGABYTE)
    rows = "".join(
        json.dumps({"text": f"{n}번째 문의: 주문한 의자가 아직 오지 않았어요."}) + "\n" for n in range(40_000)
    )
    assert len(read(tmp_path / "a.jsonl.gz", gzip.compress(rows.encode())).rows) == 40_000


@pytest.mark.parametrize(("name", "member"), [("a.docx", "word/document.xml"), ("a.hwpx", "Contents/section0.xml")])
def test_a_zip_bomb_is_a_drop_in_little_memory(tmp_path: Path, name: str, member: str) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, bytes(200 * MEGABYTE))
    (tmp_path / name).write_bytes(packed.getvalue())
    assert [drop[1] for drop in read(tmp_path / name).drops] == ["too_large"]


def test_a_zip_of_a_million_names_is_a_drop(tmp_path: Path) -> None:
    entry = zipped({"x": ""})
    start = entry.index(b"PK\x01\x02")
    end = entry.index(b"PK\x05\x06")
    listed = entry[start:end] * 100_000
    found = read(tmp_path / "a.docx", entry[:start] + listed + entry[end:])
    assert [drop[1:] for drop in found.drops] == [("unreadable", "more than 20,000 files inside")]


ENTITIES = "<!DOCTYPE x [" + '<!ENTITY a0 "하">' + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)
) + "]>"  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.docx", zipped({"word/document.xml": f"{ENTITIES}<document><body><p><t>&a11;</t></p></body></document>"})),
        ("a.hwpx", zipped({"Contents/section0.xml": f"{ENTITIES}<sec><p><run><t>&a11;</t></run></p></sec>"})),
        ("a.xml", f"{ENTITIES}<mediawiki><page><text>&a11;</text></page></mediawiki>".encode()),
        ("a.html", f"{ENTITIES}<html><body><p>&a11;</p></body></html>".encode()),
        ("a.json", b"[" * 200_000),
        ("a.jsonl", b'{"a":' * 100_000),
        ("a.html", b"<div>" * 200_000 + "글".encode()),
        ("a.docx", docx("<p>" * 5000 + "</p>" * 5000)),
    ],
    ids=["docx entities", "hwpx entities", "wiki entities", "html entities", "json", "jsonl", "html", "docx"],
)
def test_input_that_unfolds_or_nests_is_a_drop_a_short_text_or_one_error(
    tmp_path: Path, name: str, data: bytes
) -> None:
    found = outcome(tmp_path / name, data)
    assert isinstance(found, str) or sum(map(len, found.texts)) < MEGABYTE


# Files that point elsewhere

OUTSIDE = "../" * 12


def outside(place: Path) -> dict[str, bytes]:
    """Documents that name a file beside them in every way their format knows."""
    steps = OUTSIDE + str(place).lstrip("/")
    entity = f'<!DOCTYPE x [<!ENTITY x SYSTEM "file://{place}">]>'
    spine = f'<item id="c" href="{steps}" media-type="application/xhtml+xml"/>'
    package = f'<package><manifest>{spine}</manifest><spine><itemref idref="c"/></spine></package>'
    container = '<container><rootfile full-path="p.opf"/></container>'
    return {
        "a.epub": zipped({"META-INF/container.xml": container, "p.opf": package, steps: "<p>안쪽</p>"}),
        "b.epub": zipped({"META-INF/container.xml": f'<c><rootfile full-path="{steps}"/></c>', "x": ""}),
        "a.docx": zipped({"word/document.xml": f"{entity}<d><body><p><t>글&x;</t></p></body></d>", steps: "x"}),
        "a.hwpx": zipped({"Contents/section0.xml": f"{entity}<s><p><run><t>글&x;</t></run></p></s>"}),
        "a.xml": f'{entity}<mediawiki xmlns="http://x/"><page><ns>0</ns><text>글&x;</text></page></mediawiki>'.encode(),
        "a.html": f"{entity}<html><body><p>글&x;<iframe src='file://{place}'></iframe></p></body></html>".encode(),
    }


def test_no_document_reaches_a_file_beside_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(f"<p>{CANARY}</p>")
    for name, data in outside(secret).items():
        assert CANARY not in str(outcome(tmp_path / name, data))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["secret.txt", *outside(secret)])


def test_a_name_in_a_glob_stays_below_its_folder(tmp_path: Path) -> None:
    """A link out of a folder is followed only where the user names it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("글")
    (tmp_path / "in" / ".hidden.txt").write_text(CANARY)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.txt").write_text(CANARY)
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    for pattern in ("in", "in/*.txt"):
        assert [source.name for source in Ingest(files=str(tmp_path / pattern)).sources()] == ["a.txt"]


# The page

ATTACKS = (
    "<script>document.documentElement.dataset.owned=1</script>",
    '<img src=x onerror="document.documentElement.dataset.owned=1">',
    "'\"><svg onload=document.documentElement.dataset.owned=1>",
    "</script></style></textarea></title><script>document.documentElement.dataset.owned=1</script>",
    '<a href="javascript:document.documentElement.dataset.owned=1">눌러 보세요</a> javascript:alert(1)',
    "{{ 7*191 }} {% for x in [1] %}owned{% endfor %} ${7*191} %(x)s {0.__class__}",
    "&lt;script&gt; &#60;script&#62; <!--<script> ]]> \u202e<script>\u2066",
    "<iframe srcdoc='<script>parent.document.documentElement.dataset.owned=1</script>'></iframe>",
    "<meta http-equiv=refresh content='0;url=javascript:1'><base href=//x><form action=//x><input onfocus=1 autofocus>",
)


class Handlers(HTMLParser):
    """Scripts, handlers and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts, self.found = 0, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        if tag in ("iframe", "object", "embed", "base", "form", "img") or (
            tag == "meta" and dict(attrs).get("http-equiv") == "refresh"
        ):
            self.found.append(tag)
        for name, value in attrs:
            if name.startswith("on") or re.match(r"\s*(javascript|data|vbscript):", value or "", re.IGNORECASE):
                self.found.append(f"{tag} {name}={value}")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a corpus of attacks: in texts, file names, ids, extra columns, languages."""
    folder = tmp_path_factory.mktemp("hostile")
    name = "<img src=x onerror=document.documentElement.dataset.owned=1>.jsonl"
    rows = [
        {
            "text": f"{n}번째 글입니다. 이 글은 공격을 담고 있습니다: {attack} 그리고 끝납니다.",
            "id": attack,
            "lang": attack,
            "licence": attack,
        }
        for n, attack in enumerate(ATTACKS * 2)
    ]
    (folder / name).write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    stages = (Ingest(files=str(folder / "*.jsonl"), id_field="id", licence=ATTACKS[0]), Pii())
    store = Store(folder / "store")
    manifest = run(Pipeline(name="p", stages=stages), store).manifest
    write_report(manifest, store, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def handlers(page: str) -> Handlers:
    seen = Handlers()
    seen.feed(page)
    seen.close()
    return seen


def test_a_page_of_attacks_holds_its_own_scripts_only(page: str) -> None:
    seen = handlers(page)
    assert seen.scripts == 1, "the one that picks the language"
    assert seen.found == []
    assert "공격을 담고 있습니다" in page
    assert "1337" not in page, "a template in a text was run"
    assert "\u202e" not in page


def test_a_planted_handler_would_be_seen(page: str) -> None:
    planted = page.replace("</body>", f"{ATTACKS[1]}{ATTACKS[4]}</body>")
    assert len(handlers(planted).found) == 3


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize("planted", [False, True])
def test_a_browser_runs_no_script_of_a_text(page: str, tmp_path: Path, planted: bool) -> None:
    (tmp_path / "page.html").write_text(page.replace("</body>", ATTACKS[0] + "</body>") if planted else page, "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        ["chromium", *options, (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "공격을 담고 있습니다" in done.stdout
    assert ("data-owned" in done.stdout.partition("<head")[0]) == planted


# The code


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (r"\bimport pickle\b|(?<!cloud)pickle\.loads?\(", ()),
        (r"allow_pickle\s*=\s*True|np\.load\((?!.*allow_pickle=False)", ()),
        (r"\btorch\.load\((?!.*weights_only=True)", ()),
        (r"yaml\.(load|safe_load|unsafe_load|full_load)\(|UnsafeLoader|FullLoader", ()),
        (r"shell\s*=\s*True|os\.system\(|os\.popen\(", ()),
        (r"trust_remote_code\s*=\s*True", ()),
        (r"(?<![.\w`])(eval|exec)\(", ()),
        (r"extractall\(|\.extract\(", ()),
        (r"cloudpickle\.loads\(", ("executors.py",)),
        (r"\|\s*safe\b", ()),
    ],
)
def test_the_code_holds_nothing_that_runs_data(wrong: str, where: tuple[str, ...]) -> None:
    files = [*SOURCES, *sorted(ROOT.glob("datakit/**/*.j2"))]
    assert len(files) > 100
    found = {path.name for path in files if re.search(wrong, path.read_text(encoding="utf-8"))}
    assert found <= set(where)
