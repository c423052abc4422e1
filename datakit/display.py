"""Results as plain tables for people; every function prints to stdout what `--json` gives to programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from datakit.differences import Piece, side_by_side
from datakit.reporting import labels

if TYPE_CHECKING:
    from datakit.api import Done
    from datakit.manifests import AdapterArtifact
    from datakit.pipeline import Pipeline
    from datakit.refreshing import RefreshResult
    from datakit.runner import StepPlan

LONGEST_CELL = 2000
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
WIDE = 100_000
"""Width where nobody looks at a terminal: no line is broken, so that `grep` finds whole ids."""


def table(*columns: str, rows: Sequence[Sequence[Any]]) -> None:
    """A plain table; columns whose name ends in `>` are numbers, set flush right."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        drawn.add_column(name.rstrip(">"), justify="right" if name.endswith(">") else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(_cell(value)) for value in row))
    _print(drawn)


def line(text: str = "") -> None:
    """One line, as it is."""
    _print(Text(text))


def _print(drawn: Table | Text) -> None:
    width = None if sys.stdout.isatty() else WIDE
    console = Console(highlight=False, soft_wrap=True, width=width)
    with console.capture() as caught:
        console.print(drawn)
    # click copes with a stdout that claims to be ASCII; rich fails on the first Korean letter.
    click.echo(caught.get(), nl=False)


def init(folder: str, found: Sequence[Path]) -> None:
    """What `init` made, and the next command."""
    line(f"{folder}: {', '.join(str(path) for path in found)}")
    line(f"next: cd {folder} && datakit run pipelines/quickstart.yaml --workers 2")


def check(pipeline: Pipeline) -> None:
    """The stages of a pipeline that is right."""
    rows = [(stage.name, kind) for stage, kind in zip(pipeline.stages, pipeline.kinds(), strict=True)]
    table("stage", "gives", rows=rows)
    trained = f", then trains with {pipeline.train['use']}" if pipeline.train else ""
    line(f"ok: {pipeline.name} has {len(rows)} stages{trained}")


def plan(steps: Sequence[StepPlan]) -> None:
    """What would run."""
    table("step", "reuse>", "run>", rows=[("+".join(s.stages), s.reuse, s.run) for s in steps])
    if any(step.run is None for step in steps):
        line("?: known when the steps before have run")


def run(done: Done) -> None:
    """The funnel of a run, and where the results are."""
    manifest = done.manifest
    funnel(manifest.stages)
    line()
    state = "published" if done.run.published else "holds the same data already"
    line(f"{manifest.ref}: {manifest.rows:,} {manifest.kind} rows, {state}")
    line(f"{done.run.ran} jobs run, {done.run.reused} reused, {done.run.seconds:.1f} s")
    if done.adapter is not None:
        adapter(done.adapter)
    if done.evaluation is not None:
        evaluation(done.evaluation)


def rethreshold(found: Sequence[dict[str, Any]]) -> None:
    """Rows before and after, by rule and by language."""
    for stage in found:
        change = f"{stage['returning']:,} let back in, {stage['leaving']:,} newly gone"
        kept = f"keeps {stage['after']:,} of {stage['rows']:,} rows, before {stage['before']:,}"
        line(f"{stage['stage']}: {kept}; {change}")
        names = ("before", "after", "returning", "leaving")
        rows = [(rule["rule"], *(rule[name] for name in names)) for rule in stage["rules"]]
        table("dropped by", "before>", "after>", "let back in>", "newly gone>", rows=rows)
        line()
        rows = [(lang["lang"] or "?", lang["rows"], *(lang[name] for name in names)) for lang in stage["languages"]]
        table("kept in", "rows>", "before>", "after>", "let back in>", "newly gone>", rows=rows)


def funnel(reports: Sequence[Any]) -> None:
    """Rows by stage, with the rules that dropped them."""
    rows = []
    for report in reports:
        stats = report.stats
        rules = ", ".join(f"{rule} {count:,}" for rule, count in stats["rules"].items())
        gone = stats["dropped"] + stats["folded"]
        rows.append((report.id, stats["rows_in"], gone, stats["kept"] + stats["made"], report.kind, rules))
    table("stage", "in>", "gone>", "out>", "kind", "because of", rows=rows)


def stages(found: Sequence[dict[str, Any]]) -> None:
    """All stages."""
    table("stage", "takes", "what it does", rows=[(s["name"], ", ".join(s["takes"]), s["help"]) for s in found])


def stage(found: Sequence[dict[str, Any]]) -> None:
    """One stage with its settings."""
    for one in found:
        line(f"{one['name']}: {one['help']}")
        takes = ", ".join(one["takes"]) or "files"
        line(f"takes {takes}; drops by: {', '.join(one['rules']) or 'nothing'}")
        line()
        rows = [
            (s["name"], "required" if s["required"] else s["default"], s["type"], s["help"]) for s in one["settings"]
        ]
        table("setting", "default", "type", "help", rows=rows)


def plugins(found: Sequence[dict[str, Any]]) -> None:
    """What is installed."""
    table(
        "kind",
        "name",
        "class",
        "what it is",
        rows=[(p["kind"], p["name"], p["class"], p["error"] or p["help"]) for p in found],
    )


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


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Rows, one field a line."""
    if not rows:
        line("no rows: nothing is left behind this stage; `datakit drops DATASET` says why")
    for row in rows:
        for name, value in row.items():
            if name == "messages" and value:
                for turn in value:
                    line(f"  {turn['role']}: {_cell(turn['content'])}")
            elif value not in (None, "", []):
                line(f"{name}: {_cell(value)}")
        line()


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


def adapter(artifact: AdapterArtifact) -> None:
    """An adapter and its losses."""
    metrics = {name: value for name, value in artifact.metrics.items() if isinstance(value, int | float)}
    line(f"adapter {artifact.path}: {artifact.trainer} on {artifact.base}, trained on {artifact.dataset}")
    table("figure", "value>", rows=sorted(metrics.items()))


def evaluation(result: dict[str, Any]) -> None:
    """Losses of base and adapter on held-out rows."""
    groups = [("all rows", result)]
    for name in (key for key in result if key.startswith("by_")):
        groups += [(f"{name[3:]} {value}", figures) for value, figures in result[name].items()]
    rows = [(n, f["count"], f["tokens"], f["base_loss"], f["adapter_loss"], f"{f['change']:+.1%}") for n, f in groups]
    line(f"held-out rows of {result['file']}, loss in nats a token")
    table("group", "rows>", "tokens>", "base>", "adapter>", "change>", rows=rows)


def answers(found: Sequence[dict[str, str]]) -> None:
    """Prompts and answers."""
    for one in found:
        line(f"> {one['prompt']}")
        line(one["answer"])
        line()


def refresh(result: RefreshResult) -> None:
    """What a pass did."""
    if result.published is None:
        funnel(result.run.manifest.stages)
        line(f"nothing published: {result.run.manifest.ref} holds the same rows")
        return
    funnel(result.run.manifest.stages)
    line(f"published {result.published}")
    if result.removed:
        line(f"removed the names {', '.join(result.removed)}")
    if result.adapter is not None:
        adapter(result.adapter)


def pairs(found: dict[str, Any]) -> None:
    """A flat result as name and value."""
    table("what", "value", rows=[(k, v) for k, v in found.items() if not isinstance(v, dict | list)])


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


def _cell(value: Any) -> str:
    if value is None:
        return "?"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + " ..."
