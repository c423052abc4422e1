"""A process of its own for kiwipiepy, whose native code has aborted on crawled text: it may die, the run may not.

Reads lines of JSON (a list of texts) and answers each with a line of JSON: for every text its morphemes as [start,
length, tag]; words that its dictionary doesn't know are tagged UNKNOWN. Ends when its input ends, so it can't outlive
who started it. Run by path: it loads kiwipiepy and nothing of ours.
"""

from __future__ import annotations

import json
import sys

UNKNOWN = "UNKNOWN"


def main() -> None:
    from kiwipiepy import Kiwi

    kiwi = Kiwi(num_workers=1)
    for line in sys.stdin:
        read = [
            [(token.start, token.len, UNKNOWN if token.oov else token.tag) for token in kiwi.tokenize(text)]
            for text in json.loads(line)
        ]
        sys.stdout.write(json.dumps(read) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
