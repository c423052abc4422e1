"""Invented e-mail addresses, devices, messenger ids, passwords, keys and links; part of `pii_values`."""

from __future__ import annotations

import base64
import ipaddress
import json
from random import Random
from urllib.parse import quote

from tests.pii_draws import ALNUM, DIGITS, LOWER, WIDE, draw, some

_HOSTS = "naver.com gmail.com daum.net hanmail.net nate.com kakao.com hotmail.com outlook.com yahoo.co.jp naver.com"
_FIRMS = "hanbitsoft nuri-edu saebyeok garam-tech onmaru dasom mirae-lab pureunsol northwick velomart"
_ENDINGS = "co.kr com kr net ac.kr go.kr or.kr io dev co.uk de org info company"
_HANDLES = "min seo ji yun jun hyun woo ha eun do kim lee park choi jung kang"


def handle(rng: Random) -> str:
    parts = [rng.choice(_HANDLES.split()) for _ in range(rng.randint(1, 2))]
    return rng.choice(["", ".", "_", "-"]).join(parts) + some(rng, DIGITS, 1, 4)


def email(rng: Random, labelled: bool) -> str:
    host = rng.choice(_HOSTS.split())
    if rng.random() < 0.45:
        host = rng.choice(_FIRMS.split()) + "." + rng.choice(_ENDINGS.split())
        host = rng.choice(["mail.", "cs.", "dept.hr."]) + host if rng.random() < 0.15 else host
    local = handle(rng)
    local += "+" + rng.choice(["news", "shop1"]) if rng.random() < 0.06 else ""
    text = f"{local}@{host}"
    way = rng.random()
    return text.upper() if way < 0.04 else text.translate(WIDE) if way < 0.07 else text


def ipv4(rng: Random, labelled: bool) -> str:
    while True:
        address = ipaddress.IPv4Address(rng.getrandbits(32))
        if address.is_global and not address.is_multicast and int(address) >> 24 < 224:
            return str(address)


def ipv6(rng: Random, labelled: bool) -> str:
    front = rng.choice(["2001:2d8", "2406:5900", "2400:cb00", "2a02:26f0", "2607:f8b0", "2001:e60"])
    address = ipaddress.IPv6Address(f"{front}:" + ":".join(some(rng, "0123456789abcdef", 1, 4) for _ in range(6)))
    if rng.random() < 0.5:
        address = ipaddress.IPv6Address(f"{front}:{draw(rng, 'hhhh')}::{draw(rng, 'hhhh')}")
    return address.exploded if rng.random() < 0.2 else str(address)


def mac(rng: Random, labelled: bool) -> str:
    octets = [draw(rng, "hh") for _ in range(6)]
    octets[0] = f"{int(octets[0], 16) & 0xFC:02x}"
    text = rng.choice([":", ":", "-"]).join(octets)
    if rng.random() < 0.1:
        text = ".".join("".join(octets[at : at + 2]) for at in (0, 2, 4))
    return text.upper() if rng.random() < 0.5 else text


def messenger(rng: Random, labelled: bool) -> str:
    return rng.choice(["", "", "@"]) + handle(rng)


def password(rng: Random, labelled: bool) -> str:
    return (
        rng.choice(_HANDLES.split()).title() + some(rng, DIGITS, 2, 4) + rng.choice("!@#$%^*") + some(rng, ALNUM, 2, 5)
    )


def key(rng: Random, labelled: bool) -> str:
    web = base64.urlsafe_b64encode
    claims = web(json.dumps({"sub": some(rng, DIGITS, 8, 10), "iat": rng.randint(1600000000, 1700000000)}).encode())
    head = web(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    forms = (
        "AKIA" + some(rng, LOWER.upper() + "234567", 16, 16),
        "ghp_" + some(rng, ALNUM, 36, 36),
        "github_pat_" + some(rng, ALNUM, 22, 22) + "_" + some(rng, ALNUM, 59, 59),
        "glpat-" + some(rng, ALNUM, 20, 20),
        "xoxb-" + some(rng, DIGITS, 12, 12) + "-" + some(rng, DIGITS, 12, 12) + "-" + some(rng, ALNUM, 24, 24),
        "sk_live_" + some(rng, ALNUM, 24, 24),
        "sk-proj-" + some(rng, ALNUM, 48, 48),
        "sk-" + some(rng, ALNUM, 48, 48),
        "AIza" + some(rng, ALNUM + "_-", 34, 34) + "x",
        "npm_" + some(rng, ALNUM, 36, 36),
        "hf_" + some(rng, ALNUM, 34, 34),
        "pypi-AgEIcHlwaS5vcmc" + some(rng, ALNUM, 60, 60),
        f"{head}.{claims.decode().rstrip('=')}.{some(rng, ALNUM + '_-', 42, 42)}Q",
    )
    return rng.choice(forms)


def token(rng: Random, labelled: bool) -> str:
    return some(rng, ALNUM, 24, 40)


def private_key(rng: Random, labelled: bool) -> str:
    kind = rng.choice(["RSA ", "EC ", "OPENSSH ", ""])
    body = "\n".join(some(rng, ALNUM + "+/", 64, 64) for _ in range(rng.randint(3, 6)))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


def userinfo(rng: Random, labelled: bool) -> str:
    return f"{handle(rng)}:{some(rng, ALNUM, 8, 14)}"


def email_quoted(rng: Random, labelled: bool) -> str:
    return quote(f"{handle(rng)}@{rng.choice(_HOSTS.split())}")


def phone_bare(rng: Random, labelled: bool) -> str:
    return draw(rng, "010" + rng.choice("2345678") + "#######")
