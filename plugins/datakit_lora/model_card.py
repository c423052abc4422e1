"""README.md of an adapter: what it is, what it learned from, how well, and how to open it. Plain Markdown, no date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datakit.manifests import DatasetManifest
from datakit_lora.config import LoraSettings

UNTOLD = frozenset({"base", "threads", "device", "dtype", "loggers", "samples"})
"""Settings that stand elsewhere in the card, or say nothing about the adapter."""

Answered = tuple[str, str, str]
"""A prompt, its answer before training, its answer after."""


def model_card(
    dataset: DatasetManifest,
    settings: LoraSettings,
    opens_as: str,
    metrics: dict[str, Any],
    answered: Sequence[Answered] = (),
) -> str:
    """The text of README.md."""
    unit = "pair" if settings.objective == "dpo" else "token"
    return "\n".join(
        [
            *_head(opens_as),
            f"# {dataset.name}: {_article(settings.method)} {settings.method} adapter for `{settings.base}`",
            "",
            "| | |",
            "|---|---|",
            f"| base model | `{settings.base}` (opens as `{opens_as}`) |",
            f"| dataset | `{dataset.ref}`, digest `{dataset.digest}` |",
            f"| held-out loss before | {_loss(metrics.get('eval_before'), unit)} |",
            f"| held-out loss after | {_loss(metrics.get('eval_after'), unit)} |",
            f"| steps, learned tokens | {metrics['steps']}, {metrics['learned_tokens']} |",
            f"| trained weights | {metrics['trained_parameters']} |",
            f"| computed in | {metrics['dtype']} on {metrics['device']} |",
            "",
            _what_a_loss_is(settings),
            "",
            "## Open it",
            "",
            "```python",
            *_opening(settings, opens_as),
            "```",
            "",
            *_quantised_note(settings),
            *_lineage(dataset),
            *_answers(answered),
            "## Settings",
            "",
            "| setting | value |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in _settings(settings).items()),
            "",
        ]
    )


def _article(method: str) -> str:
    return "an" if method[0] in "ai" else "a"


def _what_a_loss_is(settings: LoraSettings) -> str:
    if settings.objective == "dpo":
        return "Losses are those of direct preference optimisation, a pair; 0.6931 is the base's."
    return "Losses are negative log-likelihoods in nats a token, over the tokens that are to be learned only."


def _opening(settings: LoraSettings, opens_as: str) -> list[str]:
    """Lines of Python that open the folder without datakit."""
    tokenizer = 'tokenizer = AutoTokenizer.from_pretrained("<this folder>")'
    transformers = "from transformers import AutoModelForCausalLM, AutoTokenizer"
    if settings.method == "full":
        return [transformers, "", 'model = AutoModelForCausalLM.from_pretrained("<this folder>")', tokenizer]
    return [
        "from peft import PeftModel",
        transformers,
        "",
        f'base = AutoModelForCausalLM.from_pretrained("{opens_as}")',
        'model = PeftModel.from_pretrained(base, "<this folder>")',
        tokenizer,
    ]


def _lineage(dataset: DatasetManifest) -> list[str]:
    """What became of the rows, stage by stage, as the dataset's manifest has it."""
    if not dataset.stages:
        return []
    lines = [
        f"| {stage.id} | {stage.stats.get('rows_in', '')} | {stage.stats.get('kept', '')} | "
        f"{stage.stats.get('dropped', '')} | {stage.stats.get('made', '')} |"
        for stage in dataset.stages
    ]
    before = f", after `{dataset.name}@{dataset.parent.rpartition('@')[2]}`" if dataset.parent else ""
    return [
        "## The data's way",
        "",
        f"`{dataset.ref}`{before}: {dataset.rows} {dataset.kind} rows. `datakit why ID` tells the way of one row.",
        "",
        "| stage | rows in | kept | dropped | made |",
        "|---|---|---|---|---|",
        *lines,
        "",
    ]


def _answers(answered: Sequence[Answered]) -> list[str]:
    """Prompts with what was said before and after."""
    lines = ["## Before and after", ""] if answered else []
    for prompt, before, after in answered:
        lines += [f"**{prompt}**", "", f"- before: {_one_line(before)}", f"- after: {_one_line(after)}", ""]
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _settings(settings: LoraSettings) -> dict[str, Any]:
    """What differs from the defaults, and the few that everybody asks for."""
    always = (
        "method",
        "objective",
        "rank",
        "alpha",
        "target_modules",
        "batch_tokens",
        "accumulation",
        "epochs",
        "seed",
    )
    fields = type(settings).model_fields
    told = {"learning_rate": settings.rate}
    for name, field in fields.items():
        value = getattr(settings, name)
        changed = value != field.get_default(call_default_factory=True)
        if name not in UNTOLD | {"learning_rate"} and (name in always or changed):
            told[name] = value
    return told


def _head(opens_as: str) -> list[str]:
    """The YAML head that model hubs read; a folder of this machine is no hub name and stays out."""
    named = [f"base_model: {opens_as}"] if opens_as.count("/") == 1 and not opens_as.startswith("/") else []
    return ["---", "library_name: peft", *named, "tags: [lora, datakit]", "---", ""]


def _quantised_note(settings: LoraSettings) -> list[str]:
    if settings.method != "qlora":
        return []
    return [
        f"It was trained on the base in 4 bits ({settings.four_bit.upper()}). On the unquantised base it answers",
        "a little differently; `datakit merge` puts it into what those 4 bits stand for, which is what it fits.",
        "",
    ]


def _loss(found: dict[str, Any] | None, unit: str) -> str:
    if not found:
        return "not measured: the dataset has no held-out split"
    bits = f", {found['bits_per_byte']:.4f} bits a byte" if found.get("bits_per_byte") else ""
    return f"{found['nll']:.4f} ({found['tokens']} {unit}s{bits})"
