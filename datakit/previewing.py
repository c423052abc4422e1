"""Rows as tokens, before anything is trained: what a template makes of them, and which tokens are learned.

`datakit show DATASET --template STYLE` prints the rows of a dataset so, `datakit show example --template STYLE` a
conversation that ships with datakit. It is the code of `template` and `tokenize`, on a few rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from datakit.errors import ConfigError, Problem
from datakit.schemas import IGNORED, schema_of, table_from_rows
from datakit.stage import Env
from datakit.stages.template import Style, Template
from datakit.stages.tokenize import Tokenize

EXAMPLE = "example"
"""The name of the conversation that ships with datakit."""
_ROW = {
    "id": EXAMPLE,
    "source_id": EXAMPLE,
    "family": EXAMPLE,
    "messages": [
        {"role": "user", "content": "대한민국의 수도는 어디인가요?"},
        {"role": "assistant", "content": "대한민국의 수도는 서울입니다."},
        {"role": "user", "content": "Name one of its rivers. 🙂"},
        {"role": "assistant", "content": "The Han River (한강) runs through it."},
    ],
}
_ALPACA_ROW = {**_ROW, "messages": [*_ROW["messages"]][:2]}


def previewed(
    rows: Sequence[dict[str, Any]] | None, template: str, tokenizer: str, cache: Path
) -> list[dict[str, Any]]:
    """Rows (None: the example) as tokens: id, text of the row, how many tokens, how many learned, and each of them as
    {text, id, learned}. A row that the template drops has `dropped`: the rule."""
    stage = _template(template, tokenizer)
    if rows is None:
        rows = [_ALPACA_ROW if "alpaca" in stage.style else _ROW]
    if any("messages" not in row for row in rows):
        problem = "these rows are documents; a template needs conversations"
        raise ConfigError((Problem("--template", problem, "name a stage behind `synthesize` with --stage"),))
    asked = (f"{origin}.{part}" for origin in ("synthesize", "source") for part in ("instruction", "input"))
    names = [*schema_of("example").names, *asked]
    table = table_from_rows([{name: row[name] for name in names if name in row} for row in rows], "example")
    [batch] = table.combine_chunks().to_batches() or [None]
    if batch is None:
        return []
    outcome = stage.open(Env(cache=cache))(batch)
    dropped = outcome.drops.to_pylist() if outcome.drops is not None else []
    found = [{"id": drop["id"], "dropped": drop["rule"]} for drop in dropped]
    return found + _tokens(outcome.kept, tokenizer, cache)


def _template(template: str, tokenizer: str) -> Template:
    """The stage that a word or a Jinja file stands for."""
    if Path(template).suffix in (".jinja", ".jinja2", ".j2"):
        return Template(style="jinja", file=template, tokenizer=tokenizer)
    if template not in get_args(Style) or template == "jinja":
        known = ", ".join(name for name in get_args(Style) if name != "jinja")
        raise ConfigError((Problem("--template", f"no style {template!r}", f"one of {known}, or a .jinja file"),))
    return Template(style=template, tokenizer=tokenizer if template == "tokenizer" else "")


def _tokens(batch: Any, tokenizer: str, cache: Path) -> list[dict[str, Any]]:
    from datakit.stages.tokenize.rows import Rows
    from datakit.tokenizers import SpanLists, load_tokenizer

    loaded = load_tokenizer(tokenizer, cache)
    settings = Tokenize(tokenizer=tokenizer, add_eos=loaded.eos_id is not None).model_dump(mode="json")
    texts, trained, contents = (batch.column(name) for name in ("text", "trained", "template.contents"))
    spans = SpanLists.column(trained), SpanLists.column(contents)
    made = Rows(loaded, settings).sequences(texts, *spans)
    encoded = loaded.encode_batch(texts, spans[1], offsets=True)
    found = []
    for place, (name, text) in enumerate(zip(batch.column("id").to_pylist(), texts.to_pylist(), strict=True)):
        a, b = encoded.rows[place : place + 2]
        ids, labels = (column[made.rows[place] : made.rows[place + 1]].tolist() for column in (made.ids, made.labels))
        told = _told(text, encoded.starts[a:b].tolist(), encoded.ends[a:b].tolist())
        front = int(ids[: b - a] != encoded.ids[a:b].tolist())  # BOS that `tokenize` put before
        behind = len(ids) - front - len(told)
        told = [*[loaded.decode(ids[:front])] * front, *told, *[loaded.decode(ids[-1:])] * behind]
        tokens = [
            {"text": shown, "id": token, "learned": label != IGNORED}
            for shown, token, label in zip(told, ids, labels, strict=True)
        ]
        learned = sum(token["learned"] for token in tokens)
        found.append({"id": name, "text": text, "count": len(ids), "learned": learned, "tokens": tokens})
    return found


def _told(text: str, starts: Sequence[int], ends: Sequence[int]) -> list[str]:
    """The characters of each token; of a character in several tokens the first shows it."""
    shown, at = [], 0
    for start, end in zip(starts, ends, strict=True):
        shown.append(text[max(start, at) : end])
        at = max(at, end)
    return shown
