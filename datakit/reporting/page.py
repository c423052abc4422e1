"""The page: figures and texts laid into page.html.j2. One file, no outside resource, no clock: equal data, equal bytes.

Everything that is not a literal of the template is escaped by Jinja2's autoescape; what charts.py and labels.py hand
over is `Markup` they built by escaping too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from datakit.manifests import DatasetManifest
from datakit.readable import CREDENTIALS, HIDDEN_SETTINGS
from datakit.reporting import charts, labels
from datakit.reporting.adapters import Trained
from datakit.reporting.clusters import Duplicates
from datakit.reporting.figures import EDGES, Figures, LengthChart, Step
from datakit.reporting.texts import Gate, Sample, cut
from datakit.reporting.variety import Variety

MOST_SHARES = 4
"""Shares listed in one cell of a stage's own table."""


@dataclass(frozen=True, slots=True)
class Page:
    """All that a page is made of."""

    manifest: DatasetManifest
    figures: Figures
    gate: Gate
    duplicates: Duplicates | None
    samples: list[Sample]
    trained: Trained | None
    variety: Variety | None


def render(page: Page) -> str:
    """The page as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(
        say=labels.say,
        called=labels.called,
        both=labels.both,
        plain=labels.plain,
        bar=charts.bar,
        spark=charts.spark,
        length_chart=charts.length_chart,
        lost_chart=lost_chart,
        fill_chart=fill_chart,
        loss_curve=charts.loss_curve,
        band_curve=charts.band_curve,
        marked=marked,
        stage_bar=stage_bar,
        replaced=replaced,
        table_rows=table_rows,
        task_name=task_name,
        fertility_name=fertility_name,
    )
    env.filters.update(number=number, percent=percent, decimal=decimal, cell=cell, cut=cut, listed=listed)
    manifest, trained = page.manifest, page.trained
    text = env.get_template("page.html.j2").render(
        m=manifest,
        f=page.figures,
        gate=page.gate,
        duplicates=page.duplicates,
        samples=page.samples,
        variety=page.variety,
        trained=trained,
        sentences=sentences(page),
        recipe=recipe_lines(manifest.recipe),
        train_recipe=settings_of(manifest.recipe.get("train") or {}),
        task_langs=_task_languages(page.figures),
        spent_columns=("requests", "tokens_in", "tokens_out", "usd"),
        evaluation_file=Path(str(trained.evaluation.get("file", ""))).name if trained and trained.evaluation else "",
        kinds=labels.KINDS,
        known_stages=labels.STAGES,
        words=labels.WORDS,
    )
    return text if text.endswith("\n") else text + "\n"


def sentences(page: Page) -> list[Markup]:
    """What happened, in three sentences made of figures."""
    figures, manifest = page.figures, page.manifest
    told = [_read_sentence(figures)]
    if figures.pii is None:
        told.append(labels.say("pii_not_run"))
    elif figures.pii:
        count = sum(number for _, number in figures.pii)
        told.append(labels.say("pii_found", count=number(count), kinds=number(len(figures.pii))))
    else:
        told.append(labels.say("pii_nothing"))
    kind = manifest.kind
    rows = next((step for step in reversed(figures.steps) if step.gives == "example"), None)
    if kind == "packed" and "fill" in figures.packing:
        source = rows or next(step for step in reversed(figures.steps) if step.gives != "packed")
        laid = next(step.folded for step in reversed(figures.steps) if step.changes_kind)
        told.append(
            labels.say(
                "became_packed",
                rows=number(source.rows_out),
                kind=labels.KINDS[source.gives],
                laid=number(laid),
                packs=number(manifest.rows),
                fill=percent(figures.packing["fill"]),
            )
        )
    else:
        told.append(labels.say("became", rows=number(manifest.rows), kind=labels.KINDS[kind]))
    trained = page.trained
    if trained and trained.before is not None and trained.after is not None and trained.change is not None:
        change = percent(trained.change, signed=True)
        before, after = decimal(trained.before), decimal(trained.after)
        told[-1] += Markup(" ") + labels.say("learned_sentence", before=before, after=after, change=change)
    return told


def _read_sentence(figures: Figures) -> Markup:
    """Rows of the first kind: read by sources, kept at the end of their group, dropped and folded on the way."""
    kind, steps = figures.funnel[0]
    cleaning = [step for step in steps if not step.changes_kind]
    read = sum(step.rows_in for step in cleaning if step.source) or cleaning[0].rows_in
    return labels.say(
        "read_and_kept",
        read=number(read),
        kind=labels.KINDS[kind],
        kept=number(cleaning[-1].rows_out),
        dropped=number(sum(step.dropped for step in cleaning)),
        folded=number(sum(step.folded for step in cleaning)),
    )


def stage_bar(step: Step, widest: int) -> Markup:
    """The bar of one stage: rows kept, folded (or turned into other rows), dropped."""
    folded = "used" if step.changes_kind else "folded"
    parts = [("kept", step.kept, "kept"), (folded, step.folded, folded), ("dropped", step.dropped, "dropped")]
    tips = [(kind, value, f"{labels.plain(word)}: {value:,}") for kind, value, word in parts]
    return charts.bar([(kind, float(value), tip) for kind, value, tip in tips], widest)


def replaced(step: Step) -> int:
    """Pieces of personal data that a `pii` stage replaced; 0 for other stages."""
    return sum(count for name, count in step.counters if name.isupper()) if step.use == "pii" else 0


def table_rows(chart: LengthChart) -> list[tuple[str, list[int]]]:
    """A chart of lengths as a table: the range, and the count of every series."""
    lines = []
    for place in range(len(EDGES) - 1):
        counts = [one.counts[place] for one in chart.series]
        if any(counts):
            low, high = EDGES[place], EDGES[place + 1] - 1
            lines.append((f"{low:,}" if low == high else f"{low:,} – {high:,}", counts))
    return lines


def lost_chart(figures: Figures) -> Markup:
    """The share of the tokens that each seq_len would lose."""
    bins = [
        (str(one["seq_len"]), one["lost_if_dropped"], f"{one['seq_len']:,}: {one['lost_if_dropped']:.2%}")
        for one in figures.seq_lens
    ]
    return charts.histogram("seq_lens", bins)


def fill_chart(packing: dict[str, Any]) -> Markup:
    """Packs by how full they are."""
    bins = [
        (f"{100 * low:g}%", float(packs), f"{low:.1%} – {high:.1%}: {packs:,}")
        for low, high, packs in packing["fill_histogram"]
    ]
    return charts.histogram("fill_histogram", bins)


def task_name(made_by: str) -> Markup:
    """The task in `synthesize/mine/summary` by its name, the rest left out."""
    return labels.called("task", made_by.rpartition("/")[2])


def fertility_name(lang: str) -> Markup:
    """What a tokens-a-word figure of a language is called."""
    if f"fertility_{lang}" in labels.WORDS:
        return labels.say(f"fertility_{lang}")
    return labels.say("fertility_of", lang=labels.pair("lang", lang))


def _task_languages(figures: Figures) -> list[str]:
    totals: dict[str, int] = {}
    for counts in figures.tasks.values():
        for lang, count in counts.items():
            totals[lang] = totals.get(lang, 0) + count
    return sorted(totals, key=lambda lang: (-totals[lang], lang))


def recipe_lines(recipe: dict[str, Any]) -> list[tuple[str, str, list[tuple[str, str | Markup]]]]:
    """(id, use, settings) of every stage of a recipe."""
    return [
        (entry.get("id") or entry["use"], entry["use"], settings_of(entry, hidden=("id", "use")))
        for entry in recipe.get("stages", [])
    ]


def settings_of(entry: dict[str, Any], hidden: Sequence[str] = ()) -> list[tuple[str, str | Markup]]:
    """Settings as (name, value); long ones are counted, credentials in URLs and lists of personal data stay out."""
    found: list[tuple[str, str | Markup]] = []
    for name, value in entry.items():
        if name in hidden or value is None:
            continue
        if isinstance(value, list | dict):
            short = all(isinstance(item, int | float | str) for item in value) and len(str(value)) <= 60
            listed = isinstance(value, list) and short and name not in HIDDEN_SETTINGS
            told = ", ".join(_spelled(item) for item in value) if listed else labels.say("items", count=len(value))
            found.append((name, told))
        else:
            found.append((name, _spelled(value)))
    return found


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return cut(CREDENTIALS.sub("", str(value)), 80)


def marked(pieces: Sequence[tuple[str, bool]]) -> Markup:
    """A text in pieces, those that differ as <mark>."""
    return Markup("").join(Markup("<mark>{}</mark>").format(text) if differs else text for text, differs in pieces)


def listed(value: Any) -> str:
    """A cell of a stage's own table: a number, or names with their shares, most first."""
    if not isinstance(value, dict):
        return cell(value, 4)
    shares = sorted(value.items(), key=lambda item: (-item[1], item[0]))
    told = [f"{name.rpartition('/')[2] or '–'} {percent(share)}" for name, share in shares[:MOST_SHARES]]
    return ", ".join([*told, "…"] if len(shares) > MOST_SHARES else told)


def number(value: float) -> str:
    """12345 as 12,345."""
    return f"{round(value):,}"


def percent(value: float, signed: bool = False) -> str:
    """0.9731 as 97.3%; with a sign, −14.2%."""
    text = f"{100 * value:+.1f}%" if signed else f"{100 * value:.1f}%"
    return text.replace("-", "−")


def decimal(value: float, digits: int = 3) -> str:
    """A figure with so many decimals."""
    return f"{value:,.{digits}f}"


def cell(value: Any, digits: int = 5) -> str:
    """Any scalar for a table: so many significant digits, thousands apart."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "–"}[value]
    if isinstance(value, float):
        return f"{value:,.0f}" if not value or abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"
    return f"{value:,}" if isinstance(value, int) else cut(str(value), 80)
