"""How surprised a base model is by a text: e to the mean negative log-likelihood of its tokens.

The first `TOKENS` tokens of a text are scored, one text at a time (models.score_batch), so a text's value does not
depend on its neighbours; it is rounded to three significant digits, below which another number of threads could change
it. A text of one token or none has nothing to be surprised by: 0. Lower is plainer; repetition is lower still, so this
stands beside the rules on repetition, not for them. A model knows the languages it was trained on: judge Korean by one
that does.
Cost: that of a forward pass; SmolLM2-135M reads about 300 tokens a second on a core.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from datakit.canon import digest_file
from datakit.stage import Env

TOKENS = 256


def perplexity_of(base: str, env: Env) -> Callable[[str], float]:
    """The function that scores a text with the base model."""
    from datakit.models import load_base, resolve_base, score_batch

    model, tokenizer = load_base(resolve_base(base, env.cache).folder)
    start: list[int] = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]

    def score(text: str) -> float:
        # A token has 4 characters or so; of a text of 50 MB only the beginning is tokenized.
        ids = tokenizer(text[: 16 * TOKENS], add_special_tokens=False)["input_ids"][:TOKENS]
        nll, tokens = score_batch(model, [([*start, *ids], [-100] * len(start) + ids)])[0]
        return float(f"{math.exp(min(nll / tokens, 80.0)):.3g}") if tokens else 0.0

    return score


def model_identity(base: str) -> str:
    """A base model as part of a key: by its files, not by their place; a hub model by its name. Loads nothing."""
    from datakit.cache import cache_folder
    from datakit.models import find_base, resolve_base

    found = find_base(base)
    if found.kind == "hub":
        return found.name
    if found.kind == "folder":
        return resolve_base(base, cache_folder()).fingerprint
    stat = found.path.stat()
    return _digest(str(found.path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _digest(path: str, size: int, changed: int) -> str:
    return digest_file(path)
