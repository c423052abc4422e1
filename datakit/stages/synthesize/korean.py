"""Korean particles that follow the sound of the word before them: 은/는, 이/가, 을/를, 이란/란, 이라고/라고, 으로/로.

The choice hangs on whether the last syllable ends in a consonant (받침). Digits and Latin letters are judged by how
they are read aloud: 7 is 칠 (ends in a consonant), 2 is 이 (does not), L is 엘.
"""

from __future__ import annotations

FIRST_SYLLABLE, LAST_SYLLABLE, FINALS = 0xAC00, 0xD7A3, 28
DIGITS_WITH_FINAL = frozenset("013678")
"""영, 일, 삼, 육, 칠, 팔; tens, hundreds and thousands end in 0 and are 십, 백, 천, 만: finals too."""
LETTERS_WITH_FINAL = frozenset("lmnrLMNR")
"""엘, 엠, 엔, 알."""
RIEUL_FINAL = 8


def final_of(word: str) -> int:
    """Number of the final consonant that `word` ends in when read aloud, 0 for none; closing marks are skipped."""
    for character in reversed(word):
        if FIRST_SYLLABLE <= ord(character) <= LAST_SYLLABLE:
            return (ord(character) - FIRST_SYLLABLE) % FINALS
        if character.isdigit():
            return 8 if character in "178" else int(character in DIGITS_WITH_FINAL)
        if character.isalpha():
            return int(character in LETTERS_WITH_FINAL)
    return 0


def with_particle(word: str, pair: str) -> str:
    """`word` and the right half of a pair: `with_particle("조석", "은/는")` is 조석은, `("조차", "은/는")` 조차는."""
    closed, opened = pair.split("/")
    final = final_of(word)
    if closed == "으로" and final == RIEUL_FINAL:
        return word + opened
    return word + (closed if final else opened)
