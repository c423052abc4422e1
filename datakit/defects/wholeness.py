"""Answers that break off, and marks that only a program would have left behind.

An answer breaks off if its last line is prose that ends with a comma, a hyphen or a word that no sentence ends with
(English the, of, and; Korean 그리고, 때문에, a particle 을/를 or 의), or if a code fence is never closed. Many sound
answers end without a full stop (lists, titles, code, 반말), so that alone is none.
"""

from __future__ import annotations

import re

LEAST = 40
"""Answers shorter than this may be labels."""
LEAST_WORDS = 8
"""A line of fewer words may rightly end with a comma: `Looking forward to seeing you,`."""
ENDS_EN = re.compile(
    r"(?:[,\-–]|(?i:(?<!\w)(?:the|a|an|of|to|and|or|but|with|for|from|by|as|than|because|which|whose|their|its|your"
    r"|my|our"
    r"|is|are|was|were|will|would|can|could|should|may|might|must|has|have|had|be|been|being|if|when|while|where|into"
    r"|such|very|these|those|between|through|during|without|including|e\.g|i\.e)))$"
)
ENDS_KO = re.compile(
    r"(?:[,·]|(?:^|\s)(?:그리고|그러나|하지만|또한|및|또는|혹은|즉|따라서|예를 들어)|[가-힣](?:을|를|의)"
    r"|(?:하는|되는|하며|하고|되어|하여|위해|위한|대한|통해"
    r"|따라|때문에|에서의|으로써|[으로]로서의))$"
)
LISTED = re.compile(r"\s*(?:[-*•·]|\d{1,3}[.)])\s")
"""An item of a list may end with any word: `order one dish from a novel and guess which`."""
ENDS_WHOLE = re.compile(r"[.!?。！？…\"'”’)\]}」』*`~>]$")
ENTITY = re.compile(r"&(?:amp|quot|lt|gt|nbsp|apos|#\d{2,5}|#x[0-9a-fA-F]{2,4});")
ESCAPE = re.compile(
    r"(?<=[.!?:,;)\]\"가-힣다요])\\n(?=[A-Z0-9가-힣\\\"\s-]|$)|\\n\\n|\\n(?=\d{1,2}[.)]\s|[-•*]\s)|\\u[0-9a-f]{4}|(?<=\s)\\t(?=[A-Z0-9가-힣])"
    r"|\\x[0-9a-f]{2}(?=\\x)|\\\""
)
CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufffd]")
CODED = re.compile(
    r"```|`[^`\n]*\\[nt\"u]|(?i:\b(?:escape|escaped|json|html|xml|entit(?:y|ies)|regex|latex|unicode|python|javascript|java|c\+\+|code|string"
    r"|printf?|newline|backslash)\b)|정규\s?표현식|이스케이프|코드|문자열|줄\s?바꿈|유니코드|[{};]\s*$|\bprint\(",
    re.MULTILINE,
)


def breaks_off(output: str) -> str:
    """How an answer breaks off, `fence` or `sentence`; "" if it is whole."""
    text = output.strip()
    if text.count("```") % 2:
        return "fence"
    last = text.rsplit("\n", 1)[-1]
    if len(text) < LEAST or ENDS_WHOLE.search(last) or LISTED.match(last) or len(last.split()) < 4:
        return ""
    if last[-1] in ",·" and len(last.split()) < LEAST_WORDS:
        return ""
    korean = re.search(r"[가-힣]", last)
    return "sentence" if (ENDS_KO if korean else ENDS_EN).search(last) else ""


def stray_escape(asked: str, output: str) -> str:
    """What was left behind, `control`, `entity` or `escape`, outside of code and talk about it; "" if nothing."""
    if CONTROL.search(output):
        return "control"
    if CODED.search(asked) or CODED.search(output):
        return ""
    if ENTITY.search(output):
        return "entity"
    return "escape" if ESCAPE.search(output) else ""
