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

from datakit.terminal import visible

if TYPE_CHECKING:
    from datakit.api import Done
    from datakit.manifests import AdapterArtifact
    from datakit.pipeline import Pipeline
    from datakit.redaction import Redaction, Scan
    from datakit.runner import StepPlan

LONGEST_CELL = 2000
PLANNED = ("weights", "adapter", "optimiser", "activations", "logits", "process")
"""The parts of a memory plan, in the order in which they are told."""
WIDE = 100_000
"""Width where nobody looks at a terminal: no line is broken, so that `grep` finds whole ids."""


def table(*columns: str, rows: Sequence[Sequence[Any]]) -> None:
    """A plain table; columns whose name ends in `>` are numbers, set flush right."""
    drawn = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for name in columns:
        drawn.add_column(name.rstrip(">"), justify="right" if name.endswith(">") else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(visible(_cell(value))) for value in row))
    _print(drawn)


def line(text: str = "") -> None:
    """One line, as it is."""
    _print(Text(visible(text)))


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
    for step in steps:
        if step.cost is not None:
            cost("+".join(step.stages), step.cost)


def cost(name: str, found: dict[str, Any]) -> None:
    """What a step would cost: in the worst case, and as replies of the same model did before."""
    line()
    line(f"{name} asks {found['model']}; replies that are on disk already cost nothing")
    rows = [("worst case", found["worst"])]
    if known := found.get("by_averages"):
        rows.append((f"as {known['replies']:,} replies on disk", known))
    table(
        "if it cost",
        "requests>",
        "tokens in>",
        "tokens out>",
        "US dollars>",
        rows=[
            (told, *(one.get(name) for name in ("requests", "tokens_in", "tokens_out", "usd"))) for told, one in rows
        ],
    )
    caps = ", ".join(f"{name} {_cell(value)}" for name, value in found["budget"].items())
    line(f"the budget ends it before {caps} would be passed" if caps else "no budget is set: synthesize.budget caps it")


def run(done: Done) -> None:
    """The funnel of a run, and where the results are."""
    manifest = done.manifest
    funnel(manifest.stages)
    line()
    for report in manifest.stages:
        if report.use == "select":
            choices(report.id, report.notes)
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


def choices(name: str, notes: dict[str, Any]) -> None:
    """What each method of a `select` stage would keep, beside what it kept."""
    methods = notes["methods"]
    langs = list(methods["all rows"]["lang"])[:4]
    scores = [score for score in ("quality", "ifd", "perplexity") if score in methods["all rows"]]
    kept = [method for method in methods if method != "all rows"]
    rows = []
    for method, found in methods.items():
        told = f"{method} (chosen)" if method == notes["chosen"] else method
        shares = [f"{found['lang'].get(lang, 0):.0%}" for lang in langs]
        overlaps = [f"{found['overlap'][o]:.2f}" if o in found.get("overlap", {}) else "" for o in kept]
        rows.append((told, found["rows"], found["characters"], *shares, *(found[s] for s in scores), *overlaps))
    line(f"{name}: what each method would keep; overlap: rows in both of rows in either")
    columns = ["rows>", "characters>", *(f"{lang or '?'}>" for lang in langs), *(f"{score}>" for score in scores)]
    table("by", *columns, *(f"as {method}>" for method in kept), rows=rows)
    line()


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
        if one["variants"]:
            line(f"\nFurther settings hang on the variant; `datakit stages {one['name']}.NAME` lists them.")
            variants = [(v["name"], ", ".join(v["takes"]) or "nothing", v["help"]) for v in one["variants"]]
            table("variant", "takes", "what it does", rows=variants)


def prompts(found: Sequence[dict[str, Any]]) -> None:
    """The prompts: one in full, or all of them by name."""
    if len({one["name"].rpartition(".")[0] for one in found}) == 1:
        for one in found:
            line(f"# {one['path']}  (variables: {', '.join(one['variables']) or 'none'})")
            line(one["text"].rstrip())
            line()
        return
    rows = [
        (one["name"], ", ".join(one["variables"]), "own" if one["own"] else "shipped", one["about"]) for one in found
    ]
    table("prompt", "variables", "from", "what it is for", rows=rows)


def plugins(found: Sequence[dict[str, Any]]) -> None:
    """What is installed."""
    table(
        "kind",
        "name",
        "class",
        "what it is",
        rows=[(p["kind"], p["name"], p["class"], p["error"] or p["help"]) for p in found],
    )


def plugin(found: Sequence[dict[str, Any]]) -> None:
    """One plugin with its settings."""
    for one in found:
        line(f"{one['kind']} {one['name']} ({one['class']}): {one['error'] or one['help']}")
        if one.get("settings"):
            line()
            rows = [(s["name"], _default(s), s["help"]) for s in one["settings"]]
            table("setting", "default", "what it does", rows=rows)


def _default(setting: dict[str, Any]) -> Any:
    return "required" if setting["required"] else "none" if setting["default"] is None else setting["default"]


def memory_plan(found: dict[str, Any]) -> None:
    """Bytes by what they are for, and what would fit."""
    parts = [name for name, value in found.items() if name in PLANNED and isinstance(value, int)]
    rows = [(name, f"{found[name] / 2**20:,.0f}") for name in [*parts, "total"] if name in found]
    line(f"memory on {found.get('device', '?')} in {found.get('dtype', '?')}, MiB")
    table("for", "MiB>", rows=rows)
    line(f"trains {found.get('trained_parameters', 0):,} weights; {found.get('bytes_a_token', 0):,} bytes a token")
    free, most = found.get("free", 0), found.get("largest_batch_tokens", 0)
    now = found.get("micro_batch_tokens", 0)
    line(f"{free / 2**20:,.0f} MiB are free: batch_tokens up to {most:,} fit (now {now:,})")


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


def tokens(rows: Sequence[dict[str, Any]]) -> None:
    """Rows as tokens: learned ones green and in ⟦⟧, the others grey, every second underlined."""
    for row in rows:
        if "dropped" in row:
            line(f"{row['id']}: the template drops it ({row['dropped']})")
            continue
        line(f"{row['id']}: {row['count']} tokens, {row['learned']} of them learned ⟦⟧")
        drawn, before = Text(), False
        for place, token in enumerate(row["tokens"]):
            if token["learned"] != before:  # for eyes and terminals without colours
                drawn.append("⟦" if token["learned"] else "⟧")
            style = ("bold green" if token["learned"] else "bright_black") + (" underline" if place % 2 else "")
            drawn.append(token["text"].replace("\n", "⏎\n"), style=style)
            before = token["learned"]
        _print(drawn.append("⟧" if before else ""))
        line()


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
    told = [name for name in ("base", "few_shot", "adapter") if f"{name}_loss" in result]
    rows = [
        (n, f["count"], f["tokens"], *(f[f"{name}_loss"] for name in told), f"{f['change']:+.1%}") for n, f in groups
    ]
    line(f"held-out rows of {result['file']}, loss in nats a token")
    table("group", "rows>", "tokens>", *(f"{name.replace('_', '-')}>" for name in told), "change>", rows=rows)
    if rules := result.get("rules"):
        obedience(rules)
    if judge := result.get("judge"):
        verdict(judge)


def obedience(found: dict[str, Any]) -> None:
    """Prompts answered as their rules say, and every rule."""
    groups = [("all prompts", found), *found["by_language"].items()]
    names = ("base_prompts", "adapter_prompts", "base_rules", "adapter_rules")
    rows = [(name, one["prompts"], *(f"{one[figure]:.1%}" for figure in names)) for name, one in groups]
    line("\nanswers that keep all rules of their prompt, and rules kept")
    table("group", "prompts>", "base>", "adapter>", "rules base>", "rules adapter>", rows=rows)
    rows = [(rule, one["count"], one["base"], one["adapter"]) for rule, one in found["by_rule"].items()]
    table("rule", "asked for>", "base>", "adapter>", rows=rows)


def verdict(found: dict[str, Any]) -> None:
    """What a judge said."""
    line(f"\n{found['answers']} answers judged by {found['teacher']}, 1 to 5")
    rows = [(name.replace("_", "-"), score, found["unjudged"][name]) for name, score in found["scores"].items()]
    table("answers of", "score>", "unjudged>", rows=rows)
    line("better in both orders: " + ", ".join(f"{name} {count}" for name, count in found["better"].items()))


def ablation(found: dict[str, Any]) -> None:
    """Held-out loss with all stages and without each, and what each is worth."""
    seeds = len(found["seeds"])
    whole, *trials = found["trials"]
    line(
        f"{found['pipeline']}: held-out loss in nats a token, {seeds} adapters a trial; base {found['base_loss']:,.4g}"
    )
    rows = [("with all", whole["rows"], whole["mean"], _deviation(whole["spread"]), "", "", "")]
    for one in trials:
        worth = f"{one['worth_mean']:+.4f}", _deviation(one["worth_spread"]), f"{one['helped']} of {seeds}"
        rows.append((f"without {one['without']}", one["rows"], one["mean"], _deviation(one["spread"]), *worth))
    table("trial", "rows>", "loss>", "±>", "worth>", "±>", "helped>", rows=rows)
    line("worth: loss without the stage minus loss with it; above zero the stage helps")


def _deviation(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def answers(found: Sequence[dict[str, str]]) -> None:
    """Prompts and answers."""
    for one in found:
        line(f"> {one['prompt']}")
        line(one["answer"])
        line()


def pairs(found: dict[str, Any]) -> None:
    """A flat result as name and value."""
    table("what", "value", rows=[(k, v) for k, v in found.items() if not isinstance(v, dict | list)])


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


def scan(found: Scan) -> None:
    """Values by type and rule."""
    rows = [(entity, rule, count) for (entity, rule), count in sorted(found.counts.items())]
    table("type", "rule", "values>", rows=rows)
    touched = sum(bool(document["spans"]) for document in found.documents)
    skipped = f"; {found.skipped} fields held no text" if found.skipped else ""
    line(f"{sum(found.counts.values())} values in {touched} of {len(found.documents)} rows{skipped}")


def redaction(done: Redaction) -> None:
    """What was replaced, by type, and what became of the rows."""
    table("type", "values>", rows=sorted(done.values.items()))
    dropped = "".join(f", {count} dropped by {rule}" for rule, count in sorted(done.dropped.items()))
    skipped = f", {done.skipped} fields held no text" if done.skipped else ""
    line(f"{done.written} of {done.rows} rows written{dropped}{skipped}")
