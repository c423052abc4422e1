"""English rules, label words and veto words: US and UK shapes of phones and addresses, SSN, names by title or label."""
# ruff: noqa: E501  (patterns and word lists read better unbroken)

from __future__ import annotations

import re

from datakit.stages.pii import checksums
from datakit.stages.pii.rules import LEFT, RIGHT, VETO, Rule, words

_CAP = r"[A-Z\u00c0-\u00de\u0100-\u024f\u0391-\u03a9\u0410-\u042f][\w'\u2019]{0,20}(?:-[A-Z\u00c0-\u00de][\w'\u2019]{1,20})?"
_MIDDLE = r"(?: (?:[A-Z]\.?(?= )|van|von|de|der|den|la|bin|al))"
NAME = rf"{_CAP}(?:{_MIDDLE}{{0,2}} {_CAP}){{0,2}}"
_TWO = rf"{_CAP}{_MIDDLE}{{0,2}} {_CAP}(?: {_CAP})?"
_NOT_NAMES = frozenset(
    words(
        "The This That It Is A An And Or But If Not Please Required None Unknown Your My Our His Her Their First Last Full User Name"
        " Number Date Address Email Phone Customer Order Yes No To For In On At Of With As By"
    )
)

_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Close|Place|Pl|Terrace|Way|Square|Sq|Parkway|Pkwy"
    "|Crescent|Highway|Hwy|Circle|Cir|Mews|Trail|Grove|Gardens|Row|Hill|Alley|Loop|Quay|Walk"
)
_UNIT = r"(?:,?\s{1,2}(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|#)\.?\s?#?[0-9A-Za-z]{1,6})?"
_TOWN = (
    r"(?:,\s{1,2}[A-Z][a-z'.-]{1,20}(?:\s[A-Z][a-z'.-]{1,20}){0,2}(?:,?\s{1,2}(?:[A-Z]{2}\s{1,2}[0-9]{5}(?:-[0-9]{4})?"
    r"|[A-Z]{1,2}[0-9][0-9A-Z]?\s[0-9][A-Z]{2}))?)?"
)
_MONTH = "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?"
DATE = (
    r"(?:(?:19|20)[0-9]{2}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:19|20)?[0-9]{2}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{_MONTH})\.?,? (?:19|20)[0-9]{{2}}|(?:{_MONTH})\.? [0-9]{{1,2}}(?:st|nd|rd|th)?,? (?:19|20)[0-9]{{2}})"
    r"(?![0-9])"
)


def latin_name(value: str) -> bool:
    """Whether no word of a match is a plain word that only begins with a capital because of its place."""
    return not any(word in _NOT_NAMES for word in value.split()) and not value.isupper()


def ssn(value: str) -> bool:
    """The ranges that the Social Security Administration gives out (no 000, 666, 9xx; no empty group)."""
    found = checksums.digit_text(value)
    return found[:3] not in {"000", "666"} and found[0] != "9" and found[3:5] != "00" and found[5:] != "0000"


def has_digits(value: str) -> bool:
    """At least four digits that are no date."""
    return len(checksums.digits_of(value)) >= 4 and not re.fullmatch(r"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}", value)


RULES = (
    Rule(
        id="ssn",
        entity="US_SSN",
        pattern=rf"{LEFT}[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}{RIGHT}",
        digits=9,
        guard=ssn,
        alone=True,
        lang="en",
    ),
    Rule(
        id="ssn_labelled",
        entity="US_SSN",
        pattern=rf"{LEFT}[0-9]{{3}}[ \-.]?[0-9]{{2}}[ \-.]?[0-9]{{4}}{RIGHT}",
        digits=9,
        guard=ssn,
        lang="en",
    ),
    Rule(
        id="phone_us",
        entity="PHONE",
        pattern=(
            rf"{LEFT}(?<![.\-])(?:1[ .\-])?(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}[\-.])[2-9][0-9]{{2}}[\-. ][0-9]{{4}}"
            r"(?:\s?(?:x|ext\.?)\s?[0-9]{1,6})?(?![0-9\-])"
        ),
        digits=10,
        alone=True,
        lang="en",
    ),
    Rule(
        id="phone_trunk",
        entity="PHONE",
        pattern=(
            rf"{LEFT}(?<![.\-])(?:\(0[1-9][0-9]{{2,3}}\) ?[0-9]{{3}} ?[0-9]{{3,4}}|0[1-9][0-9]{{2,3}}[ \-][0-9]{{3}}[ \-]?[0-9]{{3,4}}"
            r"|0[1-9](?P<trunk>[ .\-])[0-9]{2}(?:(?P=trunk)[0-9]{2}){3})(?![0-9\-])"
        ),
        digits=9,
        alone=True,
        lang="en",
    ),
    Rule(
        id="account_en",
        entity="BANK_ACCOUNT",
        pattern=rf"{LEFT}(?<![.\-])[0-9]{{7,17}}(?![0-9]|,[0-9]{{3}}|\s?(?:원|만|천|won|KRW))",
        digits=7,
        guard=checksums.not_repeated,
        lang="en",
    ),
    Rule(
        id="license_en",
        entity="DRIVER_LICENSE",
        pattern=r"(?<![A-Za-z0-9])(?<![0-9][ \-])(?:[A-Z]{0,2}[0-9][0-9\-]{4,16}[0-9]|[A-Z][0-9]{3}-[0-9]{4}-[0-9]{4})(?![0-9A-Za-z])",
        needles=("icense", "icence", "ICENSE", " DL", "면허"),
        back=24,
        ahead=60,
        guard=has_digits,
        lang="en",
    ),
    Rule(
        id="messenger_en",
        entity="MESSENGER_ID",
        pattern=(
            r"(?i:(?:kakao ?talk|kakao|telegram|whatsapp|wechat|line|discord|skype|instagram|insta|signal|snapchat|twitter|slack)"
            r"(?:'s)? ?(?:id|handle|username|user ?name|account|name|tag)?)\s?(?:is|:|=|\()\s{0,2}[\"'(]?"
            r"(?P<v>@[A-Za-z0-9][A-Za-z0-9._-]{2,31}|(?=[A-Za-z0-9.:#-]{0,24}[0-9_])[A-Za-z][A-Za-z0-9._#:-]{2,36}"
            r"|(?<=[A-Za-z]: )[A-Za-z][A-Za-z0-9]{1,30}[._:-][A-Za-z0-9._:-]{1,30}|live:[A-Za-z0-9._-]{3,31})"
        ),
        needles=tuple(
            f"{app}{said}"
            for app in words(
                "akaotalk akao_talk akao elegram hatsapp echat line iscord kype nstagram insta ignal napchat witter lack"
            )
            for said in (
                ":",
                "=",
                "(",
                *(f" {sign}" for sign in ":=("),
                *(f" {word}" for word in words("is id handle user account name tag 's")),
                "'s",
                "id",
            )
        ),
        back=4,
        ahead=60,
        labelled=True,
        lang="en",
    ),
    Rule(
        id="name_titled",
        entity="PERSON",
        pattern=rf"(?<![A-Za-z])(?:Mr|Ms|Mrs|Miss|Dr|Prof|Professor|Mx|Sir|Dame)\.? (?P<v>{NAME})",
        needles=tuple(
            f"{title}{end} " for title in words("mr ms mrs miss dr prof professor mx sir dame") for end in ("", ".")
        ),
        ahead=120,
        guard=latin_name,
        labelled=True,
        lang="en",
    ),
    Rule(
        id="name_field_en",
        entity="PERSON",
        pattern=(
            rf"(?:[Nn]ame(?: on card)?|NAME|[Aa]ttn|ATTN|[Rr]ecipient|RECIPIENT)(?<![A-Za-z_.\-]name)\s?:\s{{0,2}}(?P<v>{_TWO})"
        ),
        needles=tuple(
            f"{label}{sign}" for label in ("name", "name on card", "attn", "recipient") for sign in (":", " :")
        ),
        ahead=90,
        guard=latin_name,
        labelled=True,
        lang="en",
    ),
    Rule(
        id="name_holder_en",
        entity="PERSON",
        pattern=rf"(?i:account ?holder|card ?holder|beneficiary|payee)(?:'s name)?\s?(?:[:=]|is|was)?\s{{1,2}}(?P<v>{_TWO})",
        needles=words("accountholder account_holder cardholder card_holder beneficiary payee"),
        back=12,
        ahead=90,
        guard=latin_name,
        labelled=True,
        lang="en",
    ),
    Rule(
        id="name_said_en",
        entity="PERSON",
        pattern=rf"(?:[Mm]y name is|[Nn]ame's|I am called|[Tt]his is (?=[A-Z][a-z]+ [A-Z][a-z]+ (?:speaking|calling|from)))\s(?P<v>{NAME})",
        needles=("name is ", "name's ", "am called ", "this is "),
        back=8,
        ahead=100,
        guard=latin_name,
        labelled=True,
        lang="en",
    ),
    Rule(
        id="address_en",
        entity="ADDRESS",
        pattern=(
            rf"(?<![0-9A-Za-z.,\-])[0-9]{{1,6}}[A-Za-z]? (?:[NSEW]\.? |North |South |East |West )?(?:[A-Z][A-Za-z'.-]{{1,20}} |[0-9]{{1,3}}(?:st|nd|rd|th) )"
            rf"{{1,3}}(?:{_STREET})\.?(?![A-Za-z]){_UNIT}{_TOWN}"
        ),
        needles=tuple(
            f" {street}{end}"
            for street in _STREET.lower().split("|")
            for end in (" ", ".", ",", "\n", ";", ")", "?", "!", ":")
        ),
        back=80,
        ahead=110,
        labelled=True,
        lang="en",
    ),
    Rule(
        id="birth_en",
        entity="BIRTH_DATE",
        pattern=rf"(?i:date of birth|birth ?date|birthday|dob|d\.o\.b\.?|born)(?: ?\([^)\n]{{1,14}}\))?\s?(?:is|was|on|:|=|,)?\s?(?:on )?\s?(?P<v>{DATE})",
        needles=(
            *(
                f"{said}{end}"
                for said in ("birth", "birthday", "dob", "d.o.b", "d.o.b.")
                for end in (":", "=", " :", " is", " was", " 0", ":0", " (", ",", " on", "\n")
            ),
            *(
                f"born{end}"
                for end in (
                    " 0",
                    " on",
                    ":",
                    ",",
                    " was",
                    "\n",
                    " jan",
                    " feb",
                    " mar",
                    " apr",
                    " may",
                    " jun",
                    " jul",
                    " aug",
                    " sep",
                    " oct",
                    " nov",
                    " dec",
                )
            ),
            *(
                f"{said} {month}"
                for said in ("birth", "birthday", "dob")
                for month in words("jan feb mar apr may jun jul aug sep oct nov dec")
            ),
        ),
        back=12,
        ahead=60,
        labelled=True,
        lang="en",
    ),
)

LABELS: dict[str, tuple[str, ...]] = {
    "RRN": words("rrn resident_registration_number resident_number resident_no jumin jumin_no"),
    "FRN": words("frn arc_number foreigner_registration_number alien_registration_number"),
    "PASSPORT": words("passport passports"),
    "DRIVER_LICENSE": words(
        "driver's_license driver's_licence driver_license driver_licence drivers_license driving_licence driving_license dl license_number licence_number"
    ),
    "BRN": words(
        "business_registration_number business_registration brn business_number business_no business_reg_no biz_no biz_number biz_reg_no"
    ),
    "CORP_NO": words("corporate_registration_number corporate_number corporate_no corp_number corp_no"),
    "PHONE": words(
        "phone phones telephone tel mobile cell cellphone cell_phone fax call calling contact text whatsapp sms the_number my_number your_number this_number hotline dial ring phone_number office registered landline"
    ),
    "BANK_ACCOUNT": words(
        "account_number account_no bank_account acct acct_no account routing_number sort_code a/c deposit"
    ),
    "CARD": words("card credit_card debit_card card_number visa mastercard amex american_express cc pan"),
    "IBAN": words("iban"),
    "IP": words("ip ip_address address host server"),
    "US_SSN": words("ssn social_security social_security_number ss# ssn# social"),
    "VEHICLE": words(
        "license_plate licence_plate plate plates plate_number plate_no car_number car_no vehicle_number vehicle_no"
    ),
    VETO: (
        *("created at", "updated at", "ts", "chrome/", "safari/", "firefox/", "edg/", "opr/", "whale/", "version/"),
        *words(
            """
        order orders order_number order_no order_id invoice invoice_number invoice_no tracking tracking_number reference ref ref_no serial serial_number
        part_number model model_number sku barcode ean upc isbn issn doi version ver v release build firmware epoch timestamp unix_time coordinates
        latitude longitude lat lon pi case_no case_number docket patent document_number document_no ticket ticket_number ticket_no
        transaction transaction_id transaction_number confirmation_number booking booking_number commit sha hash checksum id uuid total amount price
        zip zip_code postal_code rfc port batch lot code promo coupon voucher gift_card claim policy_number
        """
        ),
    ),
}
