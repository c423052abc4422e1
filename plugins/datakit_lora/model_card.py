"""README.md of an adapter: what it is, what it learned from, how well, and how to open it. Plain Markdown, no date."""

from __future__ import annotations

from typing import Any

from datakit.manifests import DatasetManifest
from datakit_lora.config import LoraSettings

TOLD_SETTINGS = (
    "method", "rank", "alpha", "dropout", "target_modules", "top_layers", "learning_rate", "final_learning_rate",
    "warmup", "weight_decay", "clip", "batch_tokens", "accumulation", "gradient_checkpointing", "seed",
)  # fmt: skip


def model_card(dataset: DatasetManifest, settings: LoraSettings, opens_as: str, metrics: dict[str, Any]) -> str:
    """The text of README.md."""
    return "\n".join(
        [
            *_head(opens_as),
            f"# {dataset.name}: a {settings.method} adapter for `{settings.base}`",
            "",
            "| | |",
            "|---|---|",
            f"| base model | `{settings.base}` (opens as `{opens_as}`) |",
            f"| dataset | `{dataset.ref}`, digest `{dataset.digest}` |",
            f"| held-out loss before | {_loss(metrics.get('eval_before'))} |",
            f"| held-out loss after | {_loss(metrics.get('eval_after'))} |",
            f"| steps, learned tokens | {metrics['steps']}, {metrics['learned_tokens']} |",
            f"| trained weights | {metrics['trained_parameters']} |",
            f"| computed in | {metrics['dtype']} on {metrics['device']} |",
            "",
            "Losses are negative log-likelihoods in nats a token, over the tokens that are to be learned only.",
            "",
            "## Open it",
            "",
            "```python",
            "from peft import PeftModel",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            f'base = AutoModelForCausalLM.from_pretrained("{opens_as}")',
            'model = PeftModel.from_pretrained(base, "<this folder>")',
            'tokenizer = AutoTokenizer.from_pretrained("<this folder>")',
            "```",
            "",
            *_quantised_note(settings),
            "## Settings",
            "",
            "| setting | value |",
            "|---|---|",
            *(f"| {name} | {getattr(settings, name)} |" for name in TOLD_SETTINGS),
            "",
        ]
    )


def _head(opens_as: str) -> list[str]:
    """The YAML head that model hubs read; a folder of this machine is no hub name and stays out."""
    named = [f"base_model: {opens_as}"] if opens_as.count("/") == 1 and not opens_as.startswith("/") else []
    return ["---", "library_name: peft", *named, "tags: [lora, datakit]", "---", ""]


def _quantised_note(settings: LoraSettings) -> list[str]:
    if settings.method != "qlora":
        return []
    return [
        "It was trained on the base in 4 bits (NF4, double quantisation). On the unquantised base it answers a little",
        "differently; merge it into the 4-bit base after `dequantize()`, not into the original weights.",
        "",
    ]


def _loss(found: dict[str, Any] | None) -> str:
    return (
        f"{found['nll']:.4f} ({found['tokens']} tokens)" if found else "not measured: the dataset has no held-out split"
    )
