"""Web archives: one document for each HTML response, with its address; everything else is accounted for."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest

from datakit.errors import SourceError
from tests.reading import read

pytest.importorskip("fastwarc", reason="needs the web extra")

KO, EN = "주문하신 상품은 내일 오후에 도착할 예정입니다.", "The parcel has not arrived yet."
URL = "https://example.com/글"


def record(kind: str, body: bytes, url: str = URL, content: str = "application/http; msgtype=response") -> bytes:
    """A WARC record."""
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2026-05-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-000000000000>\r\nContent-Type: {content}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"


def response(body: bytes, kind: str = "text/html", status: int = 200, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return record("response", head.encode() + body)


def page(text: str, meta: str = "") -> str:
    return f"<html><head>{meta}</head><body><nav><a href=/>메뉴</a></nav><p>{text}</p></body></html>"


INFO = record("warcinfo", b"software: test\r\n", content="application/warc-fields")
ASKED = record("request", b"GET / HTTP/1.1\r\n\r\n", content="application/http; msgtype=request")


@pytest.mark.parametrize("members", [False, True])
def test_warc_pages_become_rows_with_number_address_and_date(tmp_path: Path, members: bool) -> None:
    parts = [INFO, ASKED, response(page(KO).encode()), ASKED, response(page(EN).encode())]
    if members:
        found = read(tmp_path / "a.warc.gz", b"".join(map(gzip.compress, parts)))
    else:
        found = read(tmp_path / "a.warc", b"".join(parts))
    assert found.texts == [KO, EN]
    assert [row["position"] for row in found.rows] == [3, 5]
    assert {row["source.url"] for row in found.rows} == {URL}
    assert found.rows[0]["source.date"].startswith("2026-05-01")
    assert found.drops == []


@pytest.mark.parametrize(
    ("encoding", "kind", "meta"),
    [
        ("euc-kr", "text/html; charset=euc-kr", ""),
        ("cp949", "text/html", '<meta http-equiv="Content-Type" content="text/html; charset=euc-kr">'),
        ("cp949", "text/html", ""),
        ("cp949", "text/html; charset=utf-8", ""),
        ("utf-8", "text/html; charset=euc-kr", ""),
        ("utf-8", "text/html; charset=nonsense", ""),
        ("utf-16", "text/html", ""),
    ],
)
def test_warc_charset_is_that_of_the_bytes_whatever_is_claimed(
    tmp_path: Path, encoding: str, kind: str, meta: str
) -> None:
    assert read(tmp_path / "a.warc", response(page(KO, meta).encode(encoding), kind)).texts == [KO]


@pytest.mark.parametrize("packing", ["gzip", "deflate", "chunked"])
def test_warc_bodies_are_unpacked(tmp_path: Path, packing: str) -> None:
    body = page(KO).encode()
    told = {
        "gzip": (gzip.compress(body), "Content-Encoding: gzip\r\n"),
        "deflate": (zlib.compress(body), "Content-Encoding: deflate\r\n"),
        "chunked": (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body), "Transfer-Encoding: chunked\r\n"),
    }[packing]
    assert read(tmp_path / "a.warc", response(told[0], more=told[1])).texts == [KO]


def test_warc_what_is_no_page_is_a_counted_drop(tmp_path: Path) -> None:
    parts = [
        response(b"\x89PNG", "image/png"),
        response(b"", "text/html", 404),
        response(page("").encode()),
        response(page(KO).encode()),
    ]
    found = read(tmp_path / "a.warc", b"".join(parts))
    assert found.texts == [KO]
    assert found.drops == [
        ("a.warc:1", "no_article", "image/png"),
        ("a.warc:2", "no_article", "status 404"),
        ("a.warc:3", "no_text", "empty"),
    ]


def test_warc_of_plain_text_is_taken_as_it_stands(tmp_path: Path) -> None:
    wet = record("conversion", f"{KO}\n{EN}\n".encode(), content="text/plain")
    assert read(tmp_path / "a.wet", INFO + wet).texts == [f"{KO}\n{EN}\n"]


def test_warc_body_that_unpacks_without_bound_is_too_large(tmp_path: Path) -> None:
    bomb = response(gzip.compress(page("가" * 3_000_000).encode()), more="Content-Encoding: gzip\r\n")
    found = read(tmp_path / "a.warc", bomb + response(page(KO).encode()), max_row_mb=1)
    assert found.texts == [KO]
    assert [drop[:2] for drop in found.drops] == [("a.warc:1", "too_large")]


def test_warc_of_pictures_alone_is_no_reason_to_stop(tmp_path: Path) -> None:
    """Records without a page are not unreadable: the share that stops a run does not count them."""
    found = read(tmp_path / "a.warc", response(b"\x89PNG", "image/png") * 60)
    assert len(found.drops) == 60


@pytest.mark.parametrize("cut", [0.2, 0.9])
def test_warc_that_is_cut_off_or_something_else_is_refused_with_its_place(tmp_path: Path, cut: float) -> None:
    path = tmp_path / "a.warc.gz"
    data = b"".join(gzip.compress(response(page(f"{n} {KO}").encode())) for n in range(9))
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(SourceError) as caught:
        read(path)
    assert "a.warc.gz" in caught.value.where
    assert KO not in str(caught.value.lines())


def test_warc_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no web archive"):
        read(tmp_path / "a.warc", b"<html>" + KO.encode() * 50)


def test_warc_with_a_broken_record_keeps_the_others(tmp_path: Path) -> None:
    broken = record("response", b"\x00\x01 not http at all")
    found = read(tmp_path / "a.warc", response(page(EN).encode()) + broken + response(page(KO).encode()))
    assert found.texts == [EN, KO]
    assert len(found.drops) == 1
