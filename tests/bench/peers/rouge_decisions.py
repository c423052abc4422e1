"""rouge_score's F and decision for pairs of texts: what Self-Instruct and Alpaca decide by.

    python rouge_decisions.py PAIRS.jsonl ANSWER

PAIRS: {"texts": [...]} on the first line, then [i, j] a line. ANSWER: one byte a pair, 1 where F > 0.7.
"""

from __future__ import annotations

import json
import sys
import time

from rouge_score import rouge_scorer

THRESHOLD = 0.7


def main() -> None:
    """Score all pairs, tokens made once a text as Alpaca does."""
    with open(sys.argv[1], encoding="utf-8") as lines:
        texts = json.loads(next(lines))["texts"]
        pairs = [json.loads(line) for line in lines]
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    tokens = [scorer._tokenizer.tokenize(text) for text in texts]
    clock = time.process_time()
    above = bytes(rouge_scorer._score_lcs(tokens[i], tokens[j]).fmeasure > THRESHOLD for i, j in pairs)
    told = {"cpu_s": time.process_time() - clock, "pairs": len(pairs), "above": sum(above)}
    with open(sys.argv[2], "wb") as out:
        out.write(above)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
