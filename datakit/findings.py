"""What `datasets`, `drops`, `compare` and `why` found, for people: plain tables, rules in words, differences in « »."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datakit.differences import Piece, side_by_side
from datakit.display import line, table
from datakit.reporting import labels

LONGEST_QUOTE = 400
"""Characters of a text that stands beside another one."""
_NO_TEXT = {
    "pii_missing": "no text is shown: this pipeline has no `pii` stage; give --raw to see it",
    "key_missing": "no text is shown: the `pii` stage can't run here (is its key in the environment?)",
}
_WHY_NOT = {
    "dropped": "dropped there",
    "document_dropped": "its document was dropped there",
    "not_made": "not made of its document there",
    "row_not_read": "not in the file that was read there",
    "source_not_read": "its file was not read there",
}


def datasets(found: Sequence[dict[str, Any]]) -> None:
    """The versions of a store."""
    rows = [
        (f["dataset"], f["rows"], f["kind"], f["day"] or "", size(f["bytes"]), ", ".join(f["adapters"])) for f in found
    ]
    if rows:
        table("dataset", "rows>", "kind", "day", "size>", "adapters", rows=rows)
    else:
        line("no datasets here yet; `datakit run FILE` publishes one")


def drops(found: dict[str, Any]) -> None:
    """Drops by rule, drop by drop, and the texts where they may be shown."""
    if not found["counts"]:
        line(f"{found['dataset']}: nothing was dropped there")
        return
    table("stage", "rule", "rows>", rows=[(c["stage"], c["rule"], c["rows"]) for c in found["counts"]])
    line()
    shown, total = found["rows"], sum(count["rows"] for count in found["counts"])
    line(f"{len(shown):,} of {total:,} dropped rows")
    names = ("source_id", "stage", "rule", "value>", "threshold>")
    columns = {name: [_none(drop[name.rstrip(">")]) for drop in shown] for name in names}
    columns |= {"matched": [_matched(drop) for drop in shown], "also": [_also(drop) for drop in shown]}
    filled = {name: values for name, values in columns.items() if any(values)}
    table(*filled, rows=list(zip(*filled.values(), strict=True)))
    for drop in shown:
        _drop_texts(drop)
    if found["text"] not in ("raw", "after_pii"):
        line(_NO_TEXT[found["text"]])


def compare(found: dict[str, Any]) -> None:
    """How two versions differ: rows and reasons, settings, funnel, shifts."""
    a, b, rows = found["a"], found["b"], found["rows"]
    for name, side in (("A", a), ("B", b)):
        line(f"{name}: {side['dataset']}, {side['compared_rows']:,} {side['compared']} rows behind {side['stage']}")
    if found["same"]:
        line("the two hold the same data")
    line(
        f"{rows['both']:,} rows are in both ({rows['changed']:,} with another text), "
        f"{rows['only_a']:,} in A alone, {rows['only_b']:,} in B alone"
    )
    for mine, other in (("A", "B"), ("B", "A")):
        _reasons(f"in {mine}, not in {other}", found[f"only_{mine.lower()}"])
    if found["settings"]:
        line()
        told = [(s["stage"], s["field"], _none(s["a"]), _none(s["b"])) for s in found["settings"]]
        table("stage", "setting", "A", "B", rows=told)
    line()
    table("stage", "A in>", "gone>", "out>", "B in>", "gone>", "out>", rows=[_two_flows(f) for f in found["funnel"]])
    _shifts(found["shifts"])


def blame(found: dict[str, Any]) -> None:
    """The parts of a difference in rows, the largest first."""
    a, b = found["a"], found["b"]
    line(f"{a['dataset']}: {a['rows']:,} rows; {b['dataset']}: {b['rows']:,} rows; {found['difference']:+,}")
    rows = []
    for part in found["parts"]:
        changed = [f"{one['field']}: {_none(one['a'])} -> {_none(one['b'])}" for one in part["settings"]]
        rows.append((part["stage"], f"{part['rows']:+,.1f}", part["a"], part["b"], "; ".join(changed)))
    table("stage", "rows>", "A passes>", "B passes>", "set differently", rows=rows)
    line("passes: rows out for each row in; of the sources: rows read")


def stats(found: dict[str, Any]) -> None:
    """Sums, groups, lengths and the table of seq_lens."""
    unit = found["unit"]
    learned = f", {found['trained_share']:.1%} of them learned" if unit == "tokens" else ""
    line(f"{found['dataset']}: {found['rows']:,} rows, {found[unit]:,} {unit}{learned}")
    for name, lines in found["by"].items():
        if lines:
            line()
            told = [column for column in ("rows", "characters", "size", "trained") if column in lines[0]]
            heads = [f"{unit if column == 'size' else column}>" for column in told]
            rows = [(one[name] or "?", *(one[column] for column in told), f"{one['share']:.1%}") for one in lines]
            table(name, *heads, "share>", rows=rows)
    if found["lengths"]:
        line()
        table(f"{unit} a row", *(f"{name}>" for name in found["lengths"]), rows=[("", *found["lengths"].values())])
    if unit == "tokens" and found["seq_len"]:
        _seq_lens(found)


def _seq_lens(found: dict[str, Any]) -> None:
    line()
    rows = [
        (
            one["seq_len"],
            one["rows_over"],
            f"{one['lost_if_dropped']:.2%}",
            f"{one['lost_if_cut_off']:.2%}",
            one["packs"],
            f"{one['fill']:.2%}",
            "suggested" if one["seq_len"] == found["suggested_seq_len"] else "",
        )
        for one in found["seq_len"]
    ]
    table("seq_len>", "longer rows>", "lost if dropped>", "lost if cut off>", "packs>", "full>", "", rows=rows)
    for lang, value in found["fertility"].items():
        line(f"{lang}: {value:.2f} tokens {'an eojeol' if lang == 'ko' else 'a word'}")


def why(found: dict[str, Any]) -> None:
    """The story of a row."""
    place = f", row {found['position']}" if found["position"] is not None else ""
    line(f"{found['source_id']} ({found['source'] or 'dropped while reading'}{place})")
    line(f"is row {found['id']} of {found['dataset']}")
    if found["parents"]:
        line(f"made from {', '.join(found['parents'])}")
    table("stage", "what", "", rows=[(s["stage"], s["what"], _told(s)) for s in found["story"]])
    for adapter in found["adapters"]:
        fate = "learned it" if adapter["learned"] else "was judged by it: the row was held out, not learned"
        line(f"adapter {adapter['path']} ({adapter['trainer']} on {adapter['base']}) {fate}")
    for other in found["elsewhere"]:
        rule = f" by {other['rule']}" if other.get("rule") else ""
        adapters = f"; learned by {', '.join(other['adapters'])}" if other["adapters"] else ""
        line(f"also in {other['dataset']}: {other['what']} at {other['stage']}{rule}{adapters}")


def _reasons(title: str, reasons: Sequence[dict[str, Any]]) -> None:
    if reasons:
        line()
        rows = [(_WHY_NOT[r["how"]], _rule(r), r["rows"], ", ".join(r["examples"])) for r in reasons]
        table(title, "by", "rows>", "such as", rows=rows)


def _rule(reason: dict[str, Any]) -> str:
    return f"{reason['stage']}: {reason['rule']}" if reason["rule"] else ""


def _two_flows(step: dict[str, Any]) -> list[Any]:
    sides = [step["a"] or {}, step["b"] or {}]
    return [step["stage"], *(side.get(name, "") for side in sides for name in ("rows_in", "gone", "rows_out"))]


def _shifts(found: Sequence[dict[str, Any]]) -> None:
    """The length and all figures made of words; of the other numbers those that shifted, the rest counted."""
    told = [s for s in found if s["measure"] != "ks" or s["figure"] == "length" or s["shift"] in ("clear", "strong")]
    line()
    rows = [(s["figure"], s["shift"], s["distance"], *_from_to(s)) for s in told]
    table("figure", "shift", "distance>", "A>", "B>", rows=rows)
    if still := len(found) - len(told):
        line(f"{still} other figures: little")
    for one in told:
        if one["shift"] in ("clear", "strong") and "names" in one:
            line()
            table(one["figure"], "A>", "B>", rows=[(n["name"] or "(none)", n["a"], n["b"]) for n in one["names"]])


def _from_to(shift: dict[str, Any]) -> tuple[Any, Any]:
    return ("", "") if "names" in shift else (_none(shift["a"]), _none(shift["b"]))


def size(count: int) -> str:
    """12,345,678 bytes as 11.8 MiB."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = min(max(count.bit_length() - 1, 0) // 10, len(units) - 1)
    return f"{count / 1024**power:,.{1 if power else 0}f} {units[power]}"


def _drop_texts(drop: dict[str, Any]) -> None:
    """The text of a dropped row; beside the one that stands for it, with what differs in « »."""
    own, other = drop["text"], drop["matched_text"]
    if own is None:
        return
    line()
    measured = f" {drop['value']}" if drop["value"] is not None else ""
    line(f"{drop['source_id']}: {drop['rule']}{measured}")
    if other is None:
        line(f"  {_one_line(own)}")
        return
    told = zip(("dropped", "stays"), side_by_side(own, other, limit=LONGEST_QUOTE), strict=True)
    table("", "", rows=[(f"  {name}", _one_line(_marked(pieces))) for name, pieces in told])


def _marked(pieces: Sequence[Piece]) -> str:
    return "".join(f"«{text}»" if differs else text for text, differs in pieces)


def _one_line(text: str) -> str:
    """A text without line breaks and controls, at most LONGEST_QUOTE characters of it."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= LONGEST_QUOTE else flat[:LONGEST_QUOTE].rstrip() + " …"


def _matched(drop: dict[str, Any]) -> str:
    return drop["matched_source_id"] or drop["matched"] or ""


def _also(drop: dict[str, Any]) -> str:
    return ", ".join(_missed(failed) for failed in drop["further"] or ())


def _none(value: Any) -> Any:
    return "" if value is None else value


def _told(event: dict[str, Any]) -> str:
    """The particulars of one line of a story."""
    if "rows" in event:
        return f"{len(event['rows'])} rows: {', '.join(event['rows'])}"
    if "packs" in event:
        return "; ".join(
            f"pack {p['pack']} ({p['split']}) at {p['start']}, {p['length']} tokens" for p in event["packs"]
        )
    row = event.get("row", "")
    told = "; also ".join(_missed(failed) for failed in (event, *event.get("further", ())) if failed.get("rule"))
    if "matched" in event:
        told += f"; {event.get('matched_source_id') or 'the row'} stays instead ({event['matched']})"
    return f"{row}: {told}" if row and told else row or told


def _missed(failed: dict[str, Any]) -> str:
    """A rule with the value and the limit that it missed, and what the rule means."""
    rule, limit = failed["rule"], failed.get("threshold")
    words = labels.pair("rule", rule)
    meaning = f" [{words[0]}{'' if words[0] == words[1] else f' / {words[1]}'}]" if words[0] != rule else ""
    value = _measure(failed.get("value"))
    similar = "similarity " if failed.get("matched") and value else ""
    told = f"{rule} {similar}{value}".rstrip()
    if limit is not None and limit != failed.get("value"):
        told += f" ({_side(failed)} {_measure(limit)})"
    return told + meaning


def _side(failed: dict[str, Any]) -> str:
    """Which side of its limit a value had to be on."""
    if failed.get("matched"):
        return "a copy from"
    try:
        return "at most" if float(failed["value"]) > float(failed["threshold"]) else "at least"
    except (TypeError, ValueError):
        return "wanted"


def _measure(value: Any) -> str:
    """A number as it is told: four digits; anything else as it stands."""
    try:
        return f"{float(value):,.4g}"
    except (TypeError, ValueError):
        return "" if value is None else str(value)
