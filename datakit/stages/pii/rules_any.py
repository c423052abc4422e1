"""Rules that do not depend on a language: addresses of the net, cards, IBAN, keys and passwords, phones with a country code."""
# ruff: noqa: E501  (patterns and word lists read better unbroken)

from __future__ import annotations

import re
from itertools import pairwise

from datakit.stages.pii import checksums
from datakit.stages.pii.rules import LEFT, RIGHT, Rule, trie

_LETTER = "A-Za-z\u00c0-\u024f\u0370-\u052f"
_LOCAL = f"(?:[{_LETTER}0-9](?:[{_LETTER}0-9._%+'-]{{0,63}}))"
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,6}[A-Za-z]{2,24}"
_SEP = r"[ .\-()/]{0,2}"

# ISO 13616: length of the part after country and check digits -> countries.
_IBAN = {
    11: "NO", 12: "BE", 14: "DK FO FI GL NL SD FK", 15: "MK SI", 16: "AT BA EE KZ LT LU XK MN", 17: "HR LV LI CH",
    18: "BG BH CR DE GB GE IE ME RS VA", 19: "AE GI IL IQ TL OM SO", 20: "AD CZ ES MD PK RO SA SE SK TN VG DZ", 21: "LY PT ST",
    22: "IS TR", 23: "BI DJ FR GR IT MC MR SM", 24: "AL AZ BY CY DO GT HU LB PL SV NI", 25: "BR EG PS QA UA", 26: "JO KW MU YE",
    27: "MT SC", 29: "LC", 30: "RU",
}  # fmt: skip
_IBAN_PATTERN = "|".join(
    f"(?:{'|'.join(names.split())})[0-9]{{2}}(?: ?[A-Z0-9]){{{length}}}" for length, names in _IBAN.items()
)

_HEX = "abcdef0"
# As `dotted_mac` asks: `e.a` alone is in every other web address, `0.0` in every decimal.
_DOTTED = (
    *(f"{a}.0" for a in "abcdef"),
    *(f"0.{a}" for a in "abcdef"),
    *(f"0{a}.{b}" for a in "abcdef" for b in "abcdef"),
)
_PAIRS = tuple(f"{sign}{a}{b}{sign}" for sign in ":-" for a in _HEX for b in _HEX)

_SECRET_SHAPES = (
    r"AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[A-Za-z0-9_-]{18,64}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}|xapp-[0-9]-[A-Za-z0-9-]{10,255}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}"
    r"|whsec_[A-Za-z0-9]{16,255}|sk-[A-Za-z0-9_-]{20,255}|AIza[A-Za-z0-9_-]{30,64}|ya29\.[A-Za-z0-9_-]{20,255}"
    r"|npm_[A-Za-z0-9]{30,64}|pypi-[A-Za-z0-9_-]{30,255}|hf_[A-Za-z0-9]{28,64}|dop_v1_[a-f0-9]{60,70}|SG\.[A-Za-z0-9_-]{16,64}"
    r"\.[A-Za-z0-9_-]{16,64}"
)
_SECRET_NEEDLES = (
    "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "xapp-", "_live_", "_test_",
    "whsec_", "sk-", "AIza", "ya29.", "npm_", "pypi-", "hf_", "dop_v1_", "SG.",
)  # fmt: skip
_ASSIGNED = (
    r"(?i:pass(?:word|wd|phrase|code)|pwd|secret(?:[_ -]?key)?|api[_ -]?(?:key|secret)|(?:access|auth|bearer|refresh)[_ -]?(?:token|key)"
    r"|client[_ -]?secret|private[_ -]?key|token|(?<![a-z])pw)|비밀번호|패스워드|비번|암호|인증키|접근키|시크릿키?|API ?키|액세스 ?토큰|토큰"
)
_ASSIGNED_ENDS = (
    *(f"{word}{sign}" for word in (
        "password", "passwd", "passphrase", "passcode", "pwd", "pw", "secret", "secret_key", "secret-key", "secret key", "secretkey", "api_key", "api-key",
        "api key", "apikey", "api_secret", "api-secret", "api secret", "apisecret", "token", "access_key", "access-key", "access key", "accesskey",
        "auth_key", "auth-key", "auth key", "authkey", "bearer_key", "bearer-key", "bearer key", "bearerkey", "refresh_key", "refresh-key", "refresh key",
        "refreshkey", "client_secret", "client-secret", "client secret", "clientsecret", "private_key", "private-key", "private key", "privatekey",
    ) for sign in (":", "=", '"', "'", "`", " ", "\n", "는", "은", "이", "가", "를", "을")),
    "비밀번호", "패스워드", "비번", "암호", "인증키", "접근키", "시크릿", "api키", "api 키", "토큰",
)  # fmt: skip


_QUERY_WORDS = (
    "access_token", "auth_token", "token", "api_key", "apikey", "key", "password", "passwd", "pwd", "session", "sessionid", "session_id", "sid",
    "secret", "signature", "sig", "email", "mail", "phone", "tel", "mobile", "name", "user", "userid", "user_id", "username", "user_name", "birth",
    "ssn", "jumin",
)  # fmt: skip


def secret_value(value: str) -> bool:
    """A password or key, not a word of prose: four digits or more, or six characters with a digit or a symbol."""
    if value.isdigit():
        return len(value) >= 4
    mixed = any(char.isdigit() for char in value) or any(char in "!@#$%^&*" for char in value)
    return len(value) >= 6 and (mixed or _drawn(value)) and any(char.isalnum() for char in value) and "(" not in value


def _drawn(value: str) -> bool:
    """Twenty letters or more whose case changes at every third or more often: drawn, not camelCase words."""
    changes = sum(one.isupper() != two.isupper() for one, two in pairwise(value))
    return len(value) >= 20 and changes * 3 >= len(value)


def shows_something(value: str) -> bool:
    """At least one letter or digit: a value that a mask has hidden already is none."""
    return any(char.isalnum() for char in value)


def token_value(value: str) -> bool:
    """A token of a header: sixteen characters or more with a digit, or with capitals and small letters mixed."""
    return any(char.isdigit() for char in value) or not (value.islower() or value[1:].islower() or value.isupper())


def dotted_mac(value: str) -> bool:
    """A digit and a letter meet at a dot, or two letters behind a digit do: neither a decimal nor dotted words."""
    return re.search(r"[0-9]\.[A-Fa-f]|[A-Fa-f]\.[0-9]|[0-9][A-Fa-f]\.[A-Fa-f]", value) is not None


def intl_phone(value: str) -> bool:
    """Seven to fifteen digits (ITU-T E.164), not one digit repeated."""
    return 7 <= len(checksums.digits_of(value)) <= 15 and checksums.not_repeated(value)


RULES = (
    Rule(
        id="email",
        solid=True,
        firm=True,
        entity="EMAIL",
        pattern=rf"{_LOCAL}@{_DOMAIN}",
        needles=("@",),
        back=64,
        ahead=330,
        alone=True,
    ),
    Rule(
        id="email_hangul",
        solid=True,
        firm=True,
        entity="EMAIL",
        pattern=rf"[가-힣]{{1,12}}@{_DOMAIN}",
        needles=("@",),
        back=12,
        ahead=330,
        alone=True,
    ),
    Rule(
        id="url_login",
        solid=True,
        entity="URL_CREDENTIAL",
        pattern=r"[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s/@:\"'<>\[]{0,64}:[^\s/@\"'<>\[]{1,128}@[!-&(-;=?-Z_a-z~]{1,512}",
        needles=("://",),
        back=16,
        ahead=720,
        labelled=True,
    ),
    Rule(
        id="url_query",
        solid=True,
        entity="URL_CREDENTIAL",
        pattern=(rf"[?&](?i:{trie(_QUERY_WORDS)})=(?P<v>[^\s&#\"'<>\[\]가-힣)]{{3,512}})"),
        needles=tuple(f"{sign}{word}=" for sign in "?&" for word in _QUERY_WORDS),
        back=1,
        ahead=514,
        guard=shows_something,
        labelled=True,
    ),
    Rule(
        id="ipv4",
        entity="IP",
        pattern=rf"{LEFT}(?<!\.)[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}(?!\.?[0-9])",
        digits=4,
        guard=checksums.public_ipv4,
        alone=True,
    ),
    Rule(
        id="ipv6",
        entity="IP",
        pattern=r"(?<![0-9A-Za-z:._])[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z:])",
        needles=("0:0", "::", *(f"{a}:{b}" for a in "abcdef0" for b in "abcdef0")),
        back=24,
        ahead=36,
        guard=checksums.public_ipv6,
        alone=True,
    ),
    Rule(
        id="mac",
        firm=True,
        entity="MAC",
        pattern=r"(?<![0-9A-Za-z:-])[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})(?![0-9A-Za-z:-])",
        needles=_PAIRS,
        back=10,
        ahead=18,
        alone=True,
    ),
    Rule(
        id="mac_dotted",
        firm=True,
        entity="MAC",
        pattern=r"(?<![0-9A-Za-z.])[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}(?![0-9A-Za-z]|\.[0-9A-Za-z])",
        needles=_DOTTED,
        back=10,
        ahead=10,
        guard=dotted_mac,
        alone=True,
    ),
    Rule(
        id="iban",
        entity="IBAN",
        pattern=rf"(?<![0-9A-Za-z])(?:{_IBAN_PATTERN})(?![0-9A-Za-z])",
        needles=tuple(f"{country}00" for names in _IBAN.values() for country in names.split()),
        back=1,
        ahead=44,
        check=checksums.iban_check,
    ),
    Rule(
        id="card_grouped",
        entity="CARD",
        pattern=(
            rf"{LEFT}(?:[0-9]{{4}}(?P<card> ?[\-.] ?| )[0-9]{{4}}(?P=card)[0-9]{{4}}(?P=card)[0-9]{{4}}(?:(?P=card)[0-9]{{3}})?"
            rf"|3[0-9]{{3}}(?: ?[\-.] ?| )[0-9]{{6}}(?: ?[\-.] ?| )[0-9]{{4,5}}){RIGHT}"
        ),
        digits=14,
        guard=checksums.not_repeated,
        check=checksums.luhn_check,
    ),
    Rule(
        id="card_bare",
        entity="CARD",
        pattern=rf"{LEFT}[0-9]{{12,19}}{RIGHT}",
        digits=12,
        guard=checksums.not_repeated,
        check=checksums.card_check,
    ),
    Rule(
        id="phone_intl",
        firm=True,
        entity="PHONE",
        pattern=(
            rf"{LEFT}(?<!\+)\(?(?:\+[1-9][0-9]{{0,2}}|00[1-9][0-9]{{0,2}}(?=[ .\-(]))\)?"
            rf"(?:{_SEP}\(0\))?(?:{_SEP}[0-9]){{6,12}}(?![0-9])"
        ),
        digits=7,
        guard=intl_phone,
        alone=True,
    ),
    Rule(
        id="secret_shape",
        entity="SECRET",
        pattern=rf"(?<![A-Za-z0-9_])(?:{_SECRET_SHAPES})",
        needles=_SECRET_NEEDLES,
        back=8,
        ahead=260,
        labelled=True,
    ),
    Rule(
        id="bearer",
        entity="SECRET",
        pattern=r"(?i:bearer|basic)[ \t]{1,2}(?P<v>[A-Za-z0-9._~+/-]{16,2048}={0,2})",
        needles=("bearer ", "basic "),
        back=1,
        ahead=2060,
        guard=token_value,
        labelled=True,
    ),
    Rule(
        id="jwt",
        entity="SECRET",
        pattern=r"(?<![A-Za-z0-9_])eyJ[A-Za-z0-9_-]{8,2048}\.eyJ[A-Za-z0-9_-]{4,4096}(?:\.[A-Za-z0-9_-]{0,1024})?",
        needles=("eyJ",),
        ahead=7200,
        labelled=True,
    ),
    Rule(
        id="private_key",
        entity="SECRET",
        pattern=r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s\\:,.-]{1,8192}?-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----",
        needles=("-----BEGIN ",),
        ahead=8300,
        labelled=True,
    ),
    Rule(
        id="private_key_open",
        entity="SECRET",
        pattern=r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s\\]{16,8192}",
        needles=("-----BEGIN ",),
        ahead=8300,
        labelled=True,
    ),
    Rule(
        id="secret_assigned",
        entity="SECRET",
        pattern=(
            rf"(?:{_ASSIGNED})[\"'`]?(?:\s?(?:는|은|가|이|를|을))?\s{{0,2}}(?:[:=]|=>|:=| is | was )\s{{0,2}}[\"'`]?"
            r"(?P<v>(?![\[<${*])[!#-&(-+./-;=?-Z^_a-z~\-]{4,256}?)(?=[\"'`,;)\s가-힣<\]]|\.?\s|\.?$|$)"
        ),
        needles=_ASSIGNED_ENDS,
        back=4,
        ahead=290,
        guard=secret_value,
        labelled=True,
    ),
    Rule(
        id="secret_option",
        entity="SECRET",
        pattern=(
            r"(?:(?:mysql(?:dump|admin|import|check|sh)?|mariadb(?:-[a-z]{2,12})?)\s(?:[^\n;]{0,160}?\s)?-p[\"']?(?P<v>(?![\[<${*])[^\s\"'`]{3,64})"
            r"|sshpass\s+-p\s?[\"']?(?P<w>(?![\[<${*])[^\s\"'`]{3,64}))"
        ),
        needles=("mysql", "mariadb", "sshpass"),
        ahead=260,
        guard=shows_something,
        labelled=True,
    ),
    Rule(
        id="secret_login",
        entity="SECRET",
        pattern=r"(?:\s-u|--user)[ =]?[\"']?[^\s:\"'`]{1,64}:(?P<v>(?![\[<${*])[^\s\"'`/:]{3,64})(?=[\"'\s]|$)",
        needles=("-u ", "-u'", '-u"', "--user"),
        back=2,
        ahead=140,
        guard=secret_value,
        labelled=True,
    ),
    Rule(
        id="secret_pair",
        entity="SECRET",
        pattern=r"(?i:id|아이디) ?/ ?(?i:pw|password|비밀번호|비번|패스워드) ?[:=] ?[^\s/]{1,40} ?/ ?(?P<v>[!-~]{4,64})",
        needles=("/pw", "/ pw", "/password", "/ password", "/비", "/ 비", "/패", "/ 패"),
        back=6,
        ahead=130,
        labelled=True,
    ),
    Rule(
        id="secret_said",
        entity="SECRET",
        pattern=(
            rf"(?:{_ASSIGNED})[\"'`]?(?:은|는|이|가|를|을)?\s{{1,2}}[\"'`]?"
            r"(?P<v>(?=[!-~]{0,63}[A-Za-z])(?=[!-~]{0,63}[0-9])(?![\[<${*])[!#-&(-+./-;=?-Z^_a-z~\-]{6,64}?)"
            r"(?=[\"'`,;)\s가-힣<\]]|\.?\s|\.?$|$)"
        ),
        needles=_ASSIGNED_ENDS,
        back=4,
        ahead=90,
        guard=secret_value,
        labelled=True,
    ),
)
