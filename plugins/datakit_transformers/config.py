"""The settings of the trainer `transformers`: those it shares with `lora`, and TrainingArguments for the rest."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from datakit.trainer import TrainerConfig


class TransformersSettings(TrainerConfig):
    """Settings of the trainer on transformers.Trainer."""

    use: ClassVar[str] = "transformers"

    rank: int = Field(16, ge=1, le=1024)
    """Width of the LoRA adapter."""
    alpha: float = Field(32.0, gt=0)
    """Strength of the adapter: its output is multiplied by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of adapter inputs set to zero while training."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """Layers that get an adapter: `all-linear` (all but the output layer) or names such as [q_proj, v_proj]."""
    learning_rate: float = Field(2e-4, gt=0, le=1)
    """Highest learning rate."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls."""
    warmup: float = Field(0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from zero."""
    weight_decay: float = Field(0.0, ge=0, le=1)
    """AdamW's pull of the adapter towards zero."""
    clip: float = Field(1.0, gt=0)
    """Longest gradient; longer ones are shortened to it."""
    epochs: float = Field(1.0, gt=0, le=1000)
    """How often every row is seen."""
    max_steps: int | None = Field(None, ge=1)
    """Stop after this many steps at the latest."""
    batch_rows: int = Field(2, ge=1)
    """Packed rows in one forward pass on each device; laid end to end, so memory for masks grows with the square."""
    accumulation: int = Field(4, ge=1, le=4096)
    """Forward passes that make up one step."""
    gradient_checkpointing: bool = False
    """Compute activations again instead of keeping them: a third slower, a fraction of the memory."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number type of the base and of what is computed; the adapter stays float32."""
    device: Literal["auto", "cpu"] = "auto"
    """Where to train; `auto`: every GPU that the launcher gives this process, else the CPU."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """More of transformers' TrainingArguments by their own names, such as {deepspeed: ds.json}; they win."""
