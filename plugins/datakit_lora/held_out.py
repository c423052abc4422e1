"""What the held-out rows say: loss, perplexity and bits per byte, all rows and by language; and the loss of every row.

Bits per byte divide by the UTF-8 bytes of the learned text, so two tokenizers can be compared; perplexity can't. A
row's language is told by its learned letters: `ko` where Hangul is at least a third of Hangul and Latin together (a
syllable says what two or three Latin letters say), else `en`; `other` without either.
The figures don't depend on how rows were packed or put into batches.
"""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datakit.schemas import IGNORED
from datakit_lora.batches import Piece, Row
from datakit_lora.loop import Engine, measuring
from datakit_lora.objective import Preference, laid_out

if TYPE_CHECKING:
    from pathlib import Path

HANGUL = (("\u1100", "\u11ff"), ("\u3130", "\u318f"), ("\uac00", "\ud7a3"))
"""Jamo, compatibility jamo, syllables."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The rows to measure on, and of each document the bytes and the language of what is learned."""

    rows: list[Row]
    sizes: list[int]
    languages: list[str]


def held_out(rows: Sequence[Row], tokenizer: Any) -> HeldOut:
    """Prepare rows for `measure`."""
    texts = [tokenizer.decode(_learned(piece), skip_special_tokens=True) for row in rows for piece in row.pieces]
    sizes = [len(text.encode("utf-8", "replace")) for text in texts]
    return HeldOut(list(rows), sizes, [language_of(text) for text in texts])


def _learned(piece: Piece) -> list[int]:
    return [int(token) for token in piece.targets if token != IGNORED]


def language_of(text: str) -> str:
    """`ko`, `en` or `other`, by its letters; decomposed Korean counts the same as composed."""
    text = unicodedata.normalize("NFC", text)
    korean = sum(any(first <= letter <= last for first, last in HANGUL) for letter in text)
    latin = sum(letter.isascii() and letter.isalpha() for letter in text)
    return "other" if not korean and not latin else "ko" if 2 * korean > latin else "en"


def measure(engine: Engine, held: HeldOut, rows_a_batch: int) -> dict[str, Any]:
    """The figures of an evaluation."""
    if isinstance(engine.objective, Preference):
        return _preferred(engine, engine.objective, held, rows_a_batch)
    losses = document_losses(engine, held.rows, rows_a_batch)
    groups = defaultdict(list)
    for place, language in enumerate(held.languages):
        groups[language].append(place)
    told = _figures([*range(len(losses))], losses, held)
    if len(groups) > 1:
        told["by_language"] = {name: _figures(places, losses, held) for name, places in sorted(groups.items())}
    return told


def _figures(places: Sequence[int], losses: Sequence[tuple[float, int]], held: HeldOut) -> dict[str, Any]:
    nll, tokens = sum(losses[place][0] for place in places), sum(losses[place][1] for place in places)
    size = sum(held.sizes[place] for place in places)
    mean = nll / tokens
    bits = nll / math.log(2) / size if size else None
    return {"nll": mean, "tokens": tokens, "perplexity": math.exp(min(mean, 700.0)), "bits_per_byte": bits}


def _preferred(engine: Engine, objective: Preference, held: HeldOut, rows_a_batch: int) -> dict[str, Any]:
    """Of preferences: mean loss a pair, the share of pairs where the chosen answer gained on the base, mean margin."""
    found: list[float] = []
    with measuring(engine):
        for start in range(0, len(held.rows), rows_a_batch):
            found += objective.margins(engine.losses, held.rows[start : start + rows_a_batch]).tolist()
    loss = sum(math.log1p(math.exp(-abs(one))) + max(-one, 0.0) for one in found) / len(found)
    ahead = sum(one > 0 for one in found) / len(found)
    return {"nll": loss, "tokens": len(found), "accuracy": ahead, "margin": sum(found) / len(found)}


def document_losses(engine: Engine, rows: Sequence[Row], rows_a_batch: int) -> list[tuple[float, int]]:
    """(summed negative log-likelihood, learned tokens) of every document, in order."""
    found: list[tuple[float, int]] = []
    with measuring(engine):
        for start in range(0, len(rows), rows_a_batch):
            some = rows[start : start + rows_a_batch]
            pieces = [piece for row in some for piece in row.pieces]
            sums = engine.losses.by_document(laid_out(engine.losses, some)).tolist()
            found += [(nll, piece.supervised) for nll, piece in zip(sums, pieces, strict=False)]
    return found


def write_row_losses(
    path: Path,
    splits: Sequence[tuple[str, Sequence[Row]]],
    before: Sequence[tuple[float, int]],
    after: Sequence[tuple[float, int]],
) -> None:
    """One line a document: id, split, learned tokens, mean loss before and after (nats a token)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pieces = [(split, piece) for split, rows in splits for row in rows for piece in row.pieces]
    columns = {
        "id": pa.array([piece.id for _, piece in pieces], pa.large_string()),
        "split": pa.array([split for split, _ in pieces], pa.large_string()),
        "tokens": pa.array([tokens for _, tokens in before], pa.int32()),
        "loss_before": pa.array([nll / tokens for nll, tokens in before], pa.float64()),
        "loss_after": pa.array([nll / tokens for nll, tokens in after], pa.float64()),
    }
    pq.write_table(pa.table(columns), path)
