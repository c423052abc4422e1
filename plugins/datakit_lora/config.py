"""Every setting of the trainer `lora`. Imports no torch: `datakit check` reads this file only.

Where the defaults come from: all linear layers, alpha = 2 x rank and a learning rate of about ten times that of full
fine-tuning (LoRA Without Regret, Thinking Machines 2025); dropout 0, a cosine to
10 % and clip 1 are common in TRL and Axolotl.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from datakit.trainer import TrainerConfig


class LoraSettings(TrainerConfig):
    """Settings of the built-in trainer."""

    use: ClassVar[str] = "lora"

    method: Literal["lora", "qlora"] = "lora"
    """`lora` keeps the base as it is; `qlora` holds it in 4 bits (NF4, double quantisation): less memory, slower."""
    rank: int = Field(16, ge=1, le=1024)
    """Width of the adapter: more rank can learn more and costs memory in proportion."""
    alpha: float = Field(32.0, gt=0)
    """Strength of the adapter: its output is multiplied by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of adapter inputs set to zero while training; 0.05 to 0.1 helps when few rows are seen many times."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """Layers that get an adapter: `all-linear` (all but the output layer) or names such as [q_proj, v_proj]."""
    top_layers: int | None = Field(None, ge=1)
    """Train only this many uppermost layers; gradients stop below them, which saves time. Default: all layers."""
    learning_rate: float = Field(2e-4, gt=0, le=1)
    """Highest learning rate, reached after the warm-up."""
    final_learning_rate: float = Field(0.1, ge=0, le=1)
    """Where the cosine ends, as a share of `learning_rate`."""
    warmup: float = Field(0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from zero."""
    weight_decay: float = Field(0.0, ge=0, le=1)
    """AdamW's pull of the adapter towards zero."""
    clip: float = Field(1.0, gt=0)
    """Longest gradient (L2 norm over all adapter weights); longer ones are shortened to it."""
    epochs: float = Field(1.0, gt=0, le=1000)
    """How often every row is seen; 0.5 stops half way through."""
    max_steps: int | None = Field(None, ge=1)
    """Stop after this many steps at the latest; the schedule is stretched to fit."""
    batch_tokens: int = Field(2048, ge=1)
    """Token slots in one forward pass, rounded down to whole rows and never less than one; memory grows with it."""
    accumulation: int = Field(4, ge=1, le=4096)
    """Forward passes that make up one step; the sum is divided by the number of learned tokens in all of them."""
    gradient_checkpointing: bool = False
    """Keep only layer borders and compute the rest again: about a third slower, a fraction of the activation memory."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number type of the base; the adapter stays float32. `auto`: bfloat16 where the device has it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto`: the GPU if there is one."""
    threads: int = Field(0, ge=0, le=1024)
    """CPU threads; 0: one for each core. Equal bytes are promised for an equal number of threads."""
    eval_every: int = Field(0, ge=0)
    """Evaluate on the held-out split every this many steps as well; 0: only before and after."""
    eval_rows: int | None = Field(None, ge=1)
    """Use only the first this many packed rows of the held-out split. Default: all of them."""
    checkpoint_every: int = Field(50, ge=0)
    """Steps between checkpoints, from which an interrupted run goes on exactly; 0: none."""
