"""The command line: names the commands and hands their words to datakit.api, which does the work.

Options carry the names of the function's parameters, word for word; `datakit.commandline` holds what all of them share.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Literal

import click

from datakit.commandline import ONE_OR_MORE, Datakit, options, say


@click.group(name="datakit", cls=Datakit, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="datakit")
@click.option("--debug", is_flag=True, help="Show where in the code an error came from.")
def main(debug: bool) -> None:
    """Raw Korean and English text to a clean instruction dataset, and to the LoRA adapter that proves it.

    \b
      datakit init my-project && cd my-project
      datakit run pipelines/quickstart.yaml --workers 2
    """


@main.command()
@click.argument("folder")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
@options("json")
def init(folder: str, force: bool, as_json: bool) -> None:
    """Start a project: pipelines and sample data in FOLDER, ready to run."""
    from datakit import api, display

    say(api.init(folder, force=force), as_json, lambda found: display.init(folder, found))


@main.command()
@click.argument("file")
@options("set", "json")
def check(file: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Read FILE and report every problem in it; no row is read."""
    from datakit import api, display

    say(api.check(file, set=overrides), as_json, display.check)


@main.command()
@click.argument("file")
@options("store", "set", "json")
def plan(file: str, store: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """What `run` would do: what is done in the store, what would run."""
    from datakit import api, display

    say(api.plan(file, store=store, set=overrides), as_json, display.plan)


@main.command()
@click.argument("file")
@options("store", "workers", "executor", "set", "json")
def run(file: str, store: str, workers: int, executor: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Run a pipeline, publish its dataset; train and evaluate if FILE has `train:`."""
    from datakit import api, display
    from datakit.progress import ProgressBars

    with ProgressBars() as bars:
        done = api.run(
            file,
            store=store,
            workers=workers,
            executor=executor,
            set=overrides,
            report=bars.report,
            tell=bars.tell,
        )
    say(done, as_json, display.run)


@main.command()
@click.argument("file")
@options("store", "set", "json")
def rethreshold(file: str, store: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """What `run` with --set quality.FIELD=VALUE would let back in and drop, told without reading a text."""
    from datakit import api, display

    say(api.rethreshold(file, store=store, set=overrides), as_json, display.rethreshold)


@main.command()
@click.argument("name", required=False)
@options("json")
def stages(name: str | None, as_json: bool) -> None:
    """All stages, or every setting of the stage NAME."""
    from datakit import api, display

    say(api.stages(name), as_json, display.stages if name is None else display.stage)


@main.command()
@click.argument("name", required=False)
@click.option("--folder", default="", metavar="DIR", help="Folder of own prompts, as the setting `prompts` names it.")
@options("json")
def prompts(name: str | None, folder: str, as_json: bool) -> None:
    """The prompts of the recipes by name, or the text of those called NAME."""
    from datakit import api, display

    say(api.prompts(name, folder=folder), as_json, display.prompts)


@main.command()
@click.argument("name", required=False)
@options("json")
def plugins(name: str | None, as_json: bool) -> None:
    """Stages, trainers and teachers that are installed, or every setting of the plugin NAME."""
    from datakit import api, display

    say(api.plugins(name), as_json, display.plugins if name is None else display.plugin)


@main.command()
@options("store", "json")
def datasets(store: str, as_json: bool) -> None:
    """Datasets of the store and their versions."""
    from datakit import api, findings

    say(api.datasets(store=store), as_json, findings.datasets)


@main.command()
@click.argument("dataset", required=False)
@click.option("--stage", metavar="ID", help="Show rows as they left this stage (default: the last one with text).")
@click.option("--rows", default=3, type=ONE_OR_MORE, show_default=True, metavar="N", help="How many rows.")
@click.option("--raw", is_flag=True, help="Allow text from before the pii stage.")
@click.option("--template", metavar="STYLE", help="Print rows as tokens by a style of `template`, or by a Jinja file.")
@click.option("--tokenizer", default="smollm2", show_default=True, metavar="SPEC", help="Whose tokens, for --template.")
@options("store", "json")
def show(
    dataset: str | None,
    stage: str | None,
    rows: int,
    raw: bool,
    template: str | None,
    tokenizer: str,
    store: str,
    as_json: bool,
) -> None:
    """Rows of DATASET (a name, or name@version; default: the only one of the store); with --template as tokens.

    `datakit show example --template chatml` shows a conversation that ships with datakit, the learned tokens coloured.
    """
    from datakit import api, display

    found = api.show(dataset, store=store, stage=stage, rows=rows, raw=raw, template=template, tokenizer=tokenizer)
    say(found, as_json, display.show if template is None else display.tokens)


@main.command()
@click.argument("dataset", required=False)
@click.option("--stage", metavar="ID", help="Only what this stage dropped.")
@click.option("--rule", metavar="RULE", help="Only what this rule dropped.")
@click.option("--rows", default=20, type=ONE_OR_MORE, show_default=True, metavar="N", help="How many rows to list.")
@click.option("--raw", is_flag=True, help="Show text as it was read, not as it stands after pii.")
@options("store", "json")
def drops(
    dataset: str | None, stage: str | None, rule: str | None, rows: int, raw: bool, store: str, as_json: bool
) -> None:
    """What stages took out of DATASET, and why: by rule, then row by row. `datakit show drops` does the same.

    DATASET is a name, or name@version; default: the only one of the store.
    """
    from datakit import api, findings

    found = api.drops(dataset, store=store, stage=stage, rule=rule, rows=rows, raw=raw)
    say(found, as_json, findings.drops)


@main.command()
@click.argument("a")
@click.argument("b")
@options("store", "json")
def compare(a: str, b: str, store: str, as_json: bool) -> None:
    """How the datasets A and B differ (names, or name@version): rows and why, settings, funnel, shifts."""
    from datakit import api, findings

    say(api.compare(a, b, store=store), as_json, findings.compare)


@main.command()
@click.argument("a")
@click.argument("b")
@options("store", "json")
def blame(a: str, b: str, store: str, as_json: bool) -> None:
    """Which stage made the number of rows move from dataset A to B, and what was set differently there."""
    from datakit import api, findings

    say(api.blame(a, b, store=store), as_json, findings.blame)


@main.command()
@click.argument("dataset")
@click.option("--form", default="openlineage", show_default=True, type=click.Choice(["openlineage", "prov"]))
@options("store", "json")
def provenance(dataset: str, form: Literal["openlineage", "prov"], store: str, as_json: bool) -> None:
    """Where DATASET came from and what came of it: an OpenLineage event, or W3C PROV, as JSON."""
    from datakit import api

    say(api.provenance(dataset, form=form, store=store), as_json, lambda found: click.echo(json.dumps(found, indent=1)))


@main.command()
@click.argument("id")
@click.option("--dataset", metavar="NAME", help="Look in this dataset only (a name, or name@version).")
@options("store", "json")
def why(id: str, dataset: str | None, store: str, as_json: bool) -> None:
    """The story of one row, from source line to adapter. ID is a row's id, or the id its file gave it."""
    from datakit import api, findings

    say(api.why(id, store=store, dataset=dataset), as_json, findings.why)


@main.command()
@click.argument("dataset")
@click.option("--out", default="report.html", show_default=True, metavar="FILE", help="The page to write.")
@click.option(
    "--adapter", metavar="DIR", help="An adapter trained on the dataset: its losses and samples join the page."
)
@options("store", "json")
def report(dataset: str, out: str, adapter: str | None, store: str, as_json: bool) -> None:
    """Write the report of DATASET: one HTML page that works offline, and the dataset card."""
    from datakit import api, display

    say(api.report(dataset, store=store, out=out, adapter=adapter), as_json, display.pairs)


@main.command()
@click.argument("dataset")
@options("store", "json")
def stats(dataset: str, store: str, as_json: bool) -> None:
    """Tokens of DATASET by source, language, split and role; lengths; what each seq_len would lose."""
    from datakit import api, findings

    say(api.stats(dataset, store=store), as_json, findings.stats)


@main.command()
@click.argument("path")
@click.option("--remove", multiple=True, metavar="ID", help="Forget the document with this id; repeatable.")
@click.option("--compact", is_flag=True, help="Join all segments; what was forgotten leaves the disk.")
@options("json")
def index(path: str, remove: tuple[str, ...], compact: bool, as_json: bool) -> None:
    """What the index in the folder PATH holds, for `dedup` to compare new rows with."""
    from datakit import api, display

    say(api.index(path, remove=remove, compact=compact), as_json, display.pairs)


@main.command()
@click.argument("dataset")
@click.argument("path")
@click.option("--format", default="parquet", show_default=True, type=click.Choice(["parquet", "jsonl"]))
@click.option("--columns", default="all", show_default=True, type=click.Choice(["all", "trainer"]))
@click.option("--push", metavar="OWNER/NAME", help="Also put it on the Hugging Face hub; the token is HF_TOKEN.")
@click.option("--public", is_flag=True, help="With --push: a new dataset is for everybody to see.")
@options("store", "json")
def export(
    dataset: str, path: str, format: str, columns: str, push: str | None, public: bool, store: str, as_json: bool
) -> None:
    """Write DATASET as a folder PATH that `datasets.load_dataset` opens."""
    from datakit import api, display

    done = api.export(dataset, path, format=format, columns=columns, push=push, public=public, store=store)
    say(done, as_json, display.pairs)


@main.command()
@click.argument("dataset")
@click.argument("trainer", default="lora")
@click.option("--out", default="adapter", show_default=True, metavar="DIR", help="Folder of the adapter.")
@click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="A setting of the trainer; repeatable.")
@click.option("--plan", is_flag=True, help="Train nothing: say how much memory it would take, and what for.")
@options("store", "json")
def train(
    dataset: str, trainer: str, out: str, overrides: tuple[str, ...], plan: bool, store: str, as_json: bool
) -> None:
    """Train an adapter on DATASET with TRAINER. `datakit plugins lora` explains every setting."""
    from datakit import api, display
    from datakit.progress import ProgressBars
    from datakit.training import settings_of

    settings = settings_of(overrides)
    with ProgressBars() as bars:
        found = api.train(
            dataset, trainer, settings, out=out, store=store, plan=plan, report=bars.report, tell=bars.tell
        )
    say(found, as_json, display.memory_plan if plan else display.adapter)


@main.command()
@click.argument("adapter")
@click.argument("out")
@click.option(
    "--dtype", default="bfloat16", show_default=True, type=click.Choice(["bfloat16", "float32"]),
    help="Number type of the weights.",
)  # fmt: skip
@click.option("--gguf", type=click.Choice(["f32", "f16", "q8_0"]), help="Write model.gguf and a Modelfile as well.")
@click.option("--rows", metavar="FILE", help="Held-out rows to compare the losses on (default: four short ones).")
@options("json")
def merge(adapter: str, out: str, dtype: str, gguf: str | None, rows: str | None, as_json: bool) -> None:
    """Write base and ADAPTER as one model into OUT, and its loss beside the adapter's."""
    from datakit import api, display

    say(api.merge(adapter, out, dtype=dtype, gguf=gguf, rows=rows), as_json, display.pairs)


@main.command()
@click.argument("adapter")
@click.option("--rows", required=True, metavar="FILE", help="Held-out rows: JSONL with instruction, input, output.")
@click.option(
    "--samples", default=4, type=click.IntRange(min=0), show_default=True, metavar="N", help="Rows answered by both."
)
@click.option(
    "--max-new-tokens", default=64, type=ONE_OR_MORE, show_default=True, metavar="N", help="Longest answer, in tokens."
)
@click.option("--rules", metavar="FILE", help="Prompts whose answers rules check, as sample_data/rules.jsonl.")
@click.option(
    "--few-shot", default=0, type=click.IntRange(0, 32), show_default=True, metavar="N",
    help="Also the base with N other rows as examples in its prompt.",
)  # fmt: skip
@click.option(
    "--judge", metavar="TEACHER", help="Who scores the samples: openai:MODEL, local, {base_url: …, model: …}."
)
@options("json")
def evaluate(
    adapter: str,
    rows: str,
    samples: int,
    max_new_tokens: int,
    rules: str | None,
    few_shot: int,
    judge: str | None,
    as_json: bool,
) -> None:
    """Compare ADAPTER with its base on held-out rows; by rules and by a judge too, if asked."""
    from datakit import api, display
    from datakit.progress import ProgressBars

    with ProgressBars() as bars:
        result = api.evaluate(
            adapter,
            rows=rows,
            samples=samples,
            max_new_tokens=max_new_tokens,
            rules=rules,
            few_shot=few_shot,
            judge=judge,
            report=bars.report,
        )
    say(result, as_json, display.evaluation)


@main.command()
@click.argument("file")
@click.option(
    "--without", multiple=True, required=True, metavar="STAGES", help="Stages to judge: dedup,quality; repeatable."
)
@click.option("--seeds", default=2, type=ONE_OR_MORE, show_default=True, metavar="N", help="Adapters a trial.")
@click.option("--out", default="ablation", show_default=True, metavar="DIR", help="Folder of the adapters.")
@options("store", "workers", "executor", "set", "json")
def ablate(
    file: str,
    without: tuple[str, ...],
    seeds: int,
    out: str,
    store: str,
    workers: int,
    executor: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say what stages of FILE are worth: train with and without each, compare held-out losses."""
    from datakit import api, display
    from datakit.progress import ProgressBars

    named = [name.strip() for names in without for name in names.split(",") if name.strip()]
    with ProgressBars() as bars:
        found = api.ablate(
            file,
            without=named,
            seeds=seeds,
            out=out,
            store=store,
            workers=workers,
            executor=executor,
            set=overrides,
            report=bars.report,
            tell=bars.tell,
        )
    say(found, as_json, display.ablation)


@main.command()
@click.argument("adapter")
@click.option("--prompt", multiple=True, required=True, metavar="TEXT", help="What to ask; repeatable.")
@click.option(
    "--max-new-tokens", default=128, type=ONE_OR_MORE, show_default=True, metavar="N", help="Longest answer, in tokens."
)
@click.option("--base", is_flag=True, help="Answer without the adapter.")
@options("json")
def generate(adapter: str, prompt: tuple[str, ...], max_new_tokens: int, base: bool, as_json: bool) -> None:
    """Answer prompts with ADAPTER."""
    from datakit import api, display

    say(api.generate(adapter, prompt=prompt, max_new_tokens=max_new_tokens, base=base), as_json, display.answers)


@main.command()
@click.argument("adapter")
@click.option(
    "--max-new-tokens", default=128, type=ONE_OR_MORE, show_default=True, metavar="N", help="Longest answer, in tokens."
)
@click.option("--base", is_flag=True, help="Answer without the adapter.")
@options("json")
def chat(adapter: str, max_new_tokens: int, base: bool, as_json: bool) -> None:
    """Talk with ADAPTER: a line in, an answer out; /new begins anew, Ctrl-D ends.

    Reads stdin to its end. With --json nothing is printed before that, then the conversation.
    """
    from datakit import api

    def tell(answer: str) -> None:
        if not as_json:
            click.echo(answer)

    turns = api.chat(adapter, max_new_tokens=max_new_tokens, base=base, ask=_lines(), tell=tell)
    say(turns, as_json, lambda told: None if told else click.echo("nothing was asked"))


def _lines() -> Iterator[str]:
    """The lines of stdin; a person at a terminal gets a prompt, on stderr."""
    typed = sys.stdin.isatty()
    while True:
        if typed:
            click.echo("> ", nl=False, err=True)
        line = sys.stdin.buffer.readline().decode("utf-8", "replace")
        if not line:
            return
        yield line


@main.command()
@click.argument("file")
@click.option("--every", metavar="INTERVAL", help="Go on for ever: 30m, 6h, 1d.")
@click.option("--cron", metavar="FIELDS", help='Go on for ever, by a cron expression: "0 3 * * *".')
@options("store", "workers", "executor", "set", "json")
def refresh(
    file: str,
    every: str | None,
    cron: str | None,
    store: str,
    workers: int,
    executor: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run on what is new, hold the gates, publish, train if asked. One pass, or by a clock.

    With --every or --cron and --json each pass prints one line.
    """
    from datakit import api, upkeep
    from datakit.progress import ProgressBars

    def one_pass() -> None:
        with ProgressBars() as bars:
            result = api.refresh(
                file, store=store, workers=workers, executor=executor, set=overrides, report=bars.report
            )
        say(result, as_json, upkeep.refresh)

    if every is None and cron is None:
        one_pass()
    else:
        api.check(file, set=overrides)
        _by_the_clock(one_pass, every, cron)


def _by_the_clock(one_pass: Callable[[], None], every: str | None, cron: str | None) -> None:
    """Passes for ever: a refused or failed one is told in one line, and the clock goes on."""
    from datakit.errors import DatakitError
    from datakit.refreshing import clock
    from datakit.terminal import visible

    def patient() -> None:
        try:
            one_pass()
        except DatakitError as error:
            click.echo(visible(clock.failed(error)), err=True)

    if every is not None:
        clock.every(every, patient)
    elif cron is not None:
        clock.by_cron(cron, patient)


@main.command()
@click.argument("file")
@click.option("--cron", "form", flag_value="cron", help="A line for crontab.")
@click.option(
    "--systemd", "form", flag_value="systemd", default="systemd", help="A systemd service and timer (default)."
)
@click.option("--at", default="03:00", show_default=True, metavar="HH:MM", help="Time of day.")
@options("store", "json")
def schedule(file: str, form: Literal["systemd", "cron"], at: str, store: str, as_json: bool) -> None:
    """Print what makes this machine's scheduler refresh FILE every day; nothing is installed."""
    from datakit import api, display

    say(api.schedule(file, form=form, at=at, store=store), as_json, display.line)


@main.command()
@click.argument("dataset")
@click.option("--to", metavar="VERSION", help="The version to go back to (default: the one before the newest).")
@options("store", "json")
def rollback(dataset: str, to: str | None, store: str, as_json: bool) -> None:
    """Make an older version of DATASET the newest again; what came after it is not published again."""
    from datakit import api, upkeep

    say(api.rollback(dataset, to=to, store=store), as_json, upkeep.rollback)


@main.command()
@click.argument("rows", nargs=-1, required=True)
@options("store", "json")
def trace(rows: tuple[str, ...], store: str, as_json: bool) -> None:
    """Where ROWS went (ids, FILE:LINE, or whole files): versions, what was made of them, packs, adapters, exports."""
    from datakit import api, upkeep

    say(api.trace(rows, store=store), as_json, upkeep.trace)


@main.command()
@click.argument("rows", nargs=-1)
@click.option("--match-file", metavar="FILE", help="Also rows that hold one of the texts in FILE, one a line.")
@click.option("--dry-run", is_flag=True, help="Only say what holds the rows.")
@options("store", "json")
def forget(rows: tuple[str, ...], match_file: str | None, dry_run: bool, store: str, as_json: bool) -> None:
    """Take ROWS (ids, FILE:LINE, or whole files) and all that was made of them out of the store, and keep the proof."""
    from datakit import api, upkeep

    say(api.forget(rows, match_file=match_file, dry_run=dry_run, store=store), as_json, upkeep.forget)


@main.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@options("store", "json")
def gc(dry_run: bool, store: str, as_json: bool) -> None:
    """Free the room of what no version of the store needs."""
    from datakit import api, upkeep

    say(api.gc(store=store, dry_run=dry_run), as_json, upkeep.gc)


@main.command()
@click.option("--mend", is_flag=True, help="Take away what is damaged and can be made anew; then run again.")
@options("store", "json")
def doctor(mend: bool, store: str, as_json: bool) -> None:
    """Read every file of the store, and name what is damaged."""
    from datakit import api, upkeep
    from datakit.progress import ProgressBars

    with ProgressBars() as bars:
        seen = api.doctor(store=store, mend=mend, report=bars.report)
    say(seen, as_json, upkeep.doctor)


@main.group()
def review() -> None:
    """Rows for people to judge and edit, in a table or JSON lines: write them out, take them back."""


@review.command("export")
@click.argument("dataset")
@click.argument("file")
@click.option("--stage", metavar="ID", help="Rows as they left this stage (default: the last one with text).")
@click.option("--rows", type=ONE_OR_MORE, metavar="N", help="How many rows (default: all).")
@click.option("--raw", is_flag=True, help="Allow text from before the pii stage.")
@options("store", "json")
def review_export(
    dataset: str, file: str, stage: str | None, rows: int | None, raw: bool, store: str, as_json: bool
) -> None:
    """Write rows of DATASET to FILE (.csv, which opens in Excel, or .jsonl) with columns for verdict and edits."""
    from datakit import api, display

    say(api.review_export(dataset, file, store=store, stage=stage, rows=rows, raw=raw), as_json, display.pairs)


@review.command("import")
@click.argument("file")
@options("store", "workers", "json")
def review_import(file: str, store: str, workers: int, as_json: bool) -> None:
    """Take the verdicts and edits in FILE: its dataset's pipeline runs with them, the result is published."""
    from datakit import api, display

    say(api.review_import(file, store=store, workers=workers), as_json, display.pairs)


@main.group()
def pii() -> None:
    """Personal data in files, outside a pipeline: find it, or write a file without it."""


_SETTING = click.option(
    "--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="A setting of the stage `pii`; repeatable."
)


@pii.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--text", metavar="FIELD", help="Field that holds the text (default: every field that does).")
@click.option("--id-field", default="id", show_default=True, metavar="FIELD", help="Field that holds the id.")
@_SETTING
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a row, in the order of the files.")
def scan(files: tuple[str, ...], text: str | None, id_field: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Where personal data stands in FILES: places, types and rules, never a value."""
    from datakit import api, display
    from datakit.terminal import visible_json
    from datakit.training import settings_of

    found = api.pii_scan(files, settings_of(overrides), text=text, id_field=id_field)
    for document in found.documents if as_json else ():
        click.echo(visible_json(document))
    if not as_json:
        display.scan(found)
    found.complain()


@pii.command()
@click.argument("source", metavar="IN")
@click.argument("out", metavar="OUT")
@click.option("--text", metavar="FIELD", help="Field that holds the text (default: every field that does).")
@_SETTING
@options("json")
def redact(source: str, out: str, text: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Write the rows of the JSON lines file IN to OUT without their personal data."""
    from datakit import api, display
    from datakit.training import settings_of

    say(api.pii_redact(source, out, settings_of(overrides), text=text), as_json, display.redaction)
