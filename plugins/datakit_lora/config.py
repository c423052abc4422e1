"""Every setting of the trainer `lora`. Imports no torch: `datakit check` reads this file only.

Where the defaults come from: all linear layers, alpha = 2 x rank and a learning rate of about ten times that of full
fine-tuning (LoRA Without Regret, Thinking Machines 2025); dropout 0, a cosine to
10 % and clip 1 are common in TRL and Axolotl. Learning rates of the other methods: see RATES.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from datakit.trainer import TrainerConfig

Method = Literal["lora", "qlora", "ia3", "prefix", "prompt", "ptuning", "head", "norms", "full"]
Init = Literal["zero", "gaussian", "orthogonal", "pissa", "olora", "eva", "loftq"]

RATES: dict[str, float] = {
    "lora": 2e-4, "qlora": 2e-4, "ia3": 5e-3, "prefix": 1e-2, "prompt": 3e-2, "ptuning": 5e-3, "head": 5e-4,
    "norms": 1e-3, "full": 2e-5,
}  # fmt: skip
"""Highest learning rate of each method. LoRA: ten times full fine-tuning's (LoRA Without Regret). Few weights need
more: IA3 3e-3 to 3e-2 (Liu et al., 2205.05638), prompt tuning 0.3 with Adafactor (Lester et al., 2104.08691), prefix
tuning 1e-3 to 1e-2 (PEFT's method comparison)."""
GENTLER = 0.25
"""A preference objective takes this share of a method's rate: it pushes on whole answers, the base drifts sooner."""
LOW_RANK = frozenset({"lora", "qlora"})
SOFT = frozenset({"prefix", "prompt", "ptuning"})
LOW_RANK_ONLY = ("dora", "rslora", "lora_plus", "init", "rank_pattern", "alpha_pattern", "train_tokens", "dropout")


class LoraSettings(TrainerConfig):
    """Settings of the built-in trainer."""

    use: ClassVar[str] = "lora"

    method: Method = "lora"
    """What is trained: `lora` a low-rank adapter; `qlora` the same on a base in 4 bits (a quarter of the memory,
    slower); `ia3` one factor a channel; `prefix`, `prompt`, `ptuning` virtual tokens before each document; `head` the
    output layer; `norms` the norm layers; `full` every weight (writes a whole model, needs eight times the memory)."""
    objective: Literal["sft", "dpo"] = "sft"
    """What is learned: `sft` the answers of packed rows; `dpo` to prefer `chosen` over `rejected` in examples that have
    both (Rafailov et al., 2305.18290); the reference is the base alone."""
    beta: float = Field(0.1, gt=0, le=10)
    """DPO: how closely the adapter stays to the base; larger is closer."""
    rank: int = Field(16, ge=1, le=1024)
    """Width of the adapter: more rank can learn more and costs memory in proportion."""
    alpha: float = Field(32.0, gt=0)
    """Strength of the adapter: its output is multiplied by alpha / rank."""
    rank_pattern: dict[str, int] = Field(default_factory=dict)
    """Other ranks for some layers: a name or its end, or a regular expression, such as {down_proj: 32}."""
    alpha_pattern: dict[str, float] = Field(default_factory=dict)
    """Other alphas for some layers, named as in `rank_pattern`."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of adapter inputs set to zero while training; 0.05 to 0.1 helps when few rows are seen many times."""
    dora: bool = False
    """Learn length and direction of each weight apart (Liu et al., 2402.09353): often better at low rank, a third
    slower."""
    rslora: bool = False
    """Divide by the root of the rank instead of the rank (Kalajdzievski, 2312.03732): ranks of 64 and more learn
    better."""
    lora_plus: float = Field(1.0, ge=1, le=1000)
    """Learning rate of the matrices B over that of A (LoRA+, Hayou et al., 2402.12354); 16 learns faster, 1 is LoRA."""
    init: Init = "zero"
    """Where the adapter starts: `zero` B is zero and A random; `gaussian` A normal; `orthogonal` both orthogonal;
    `pissa` and `olora` from the base's largest directions (learns faster; written as a plain adapter of twice the
    rank); `eva` A from the rows' activations; `loftq` makes up for what 4 bits lost (`qlora` only)."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """Layers that get an adapter: `all-linear` (all but the output layer; `ia3`: its own choice) or names such as
    [q_proj, v_proj]."""
    train_tokens: tuple[str, ...] = ()
    """Tokens whose input vectors are trained too, such as new control tokens: the base's own names for them."""
    virtual_tokens: int = Field(20, ge=1, le=1000)
    """`prefix`, `prompt`, `ptuning`: how many virtual tokens stand before each document."""
    top_layers: int | None = Field(None, ge=1)
    """Train only this many uppermost layers; gradients stop below them, which saves time. Default: all layers."""
    four_bit: Literal["nf4", "fp4"] = "nf4"
    """`qlora`: the 16 values that a weight can take; NF4 fits weights better than FP4 (Dettmers et al., 2305.14314)."""
    double_quant: bool = True
    """`qlora`: hold the scales in 8 bits too; saves 0.4 bit a weight, costs nothing that was ever measured."""
    learning_rate: float | None = Field(None, gt=0, le=1)
    """Highest learning rate, reached after the warm-up. Default by method: lora and qlora 2e-4, ia3 5e-3, prefix 1e-2,
    prompt 3e-2, ptuning 5e-3, head 5e-4, norms 1e-3, full 2e-5; with `dpo` a quarter of it."""
    final_learning_rate: float = Field(0.1, ge=0, le=1)
    """Where the cosine ends, as a share of `learning_rate`."""
    warmup: float = Field(0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from zero."""
    optimizer: Literal["adamw", "adamw8bit", "paged_adamw8bit"] = "adamw"
    """`adamw` keeps 8 bytes a trained weight, `adamw8bit` 2 (bitsandbytes), `paged_adamw8bit` moves them to the CPU
    when a GPU is full. Saves little with adapters, much with `full`."""
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
    checkpoint_layers: int = Field(1, ge=1)
    """With `gradient_checkpointing`: only every so-many-th layer; 2 gives back half of the time and of the memory."""
    offload: bool = False
    """With `gradient_checkpointing`: hold the layer borders in CPU memory; for very long rows on a GPU."""
    attention: Literal["auto", "blocks", "sdpa", "flex", "varlen", "flash"] = "auto"
    """How documents in a packed row are kept apart: `blocks` one call a document; `sdpa` one call with a mask (memory
    grows with the square of a batch); `flex`, `varlen`, `flash` one kernel on a GPU. `auto` takes the fastest."""
    compile: bool = False
    """Compile the layers with torch.compile: faster on a GPU after a cold start of a minute or more, which is told."""
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
    patience: int = Field(0, ge=0)
    """Stop when so many evaluations in a row (see `eval_every`) brought no better held-out loss; 0: never."""
    keep_best: bool = False
    """Write the adapter of the best evaluation rather than that of the last step."""
    samples: tuple[str, ...] = ()
    """Prompts that are answered before and after training; the answers stand in the adapter's model card."""
    row_losses: bool = False
    """Write the loss of every row before and after into row_losses.parquet beside the adapter: what is memorised,
    what can't be learned, what contradicts. Costs two more passes over the rows."""
    checkpoint_every: int = Field(50, ge=0)
    """Steps between checkpoints, from which an interrupted run goes on exactly; 0: none."""
    keep_checkpoints: int = Field(2, ge=1, le=100)
    """How many of the newest checkpoints stay; the one of the best evaluation stays as well."""
    loggers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Where figures go besides train.jsonl beside the adapter: packages that must be installed."""

    @property
    def rate(self) -> float:
        """The highest learning rate: as given, or the method's own."""
        if self.learning_rate is not None:
            return self.learning_rate
        return RATES[self.method] * (GENTLER if self.objective == "dpo" else 1.0)

    @model_validator(mode="after")
    def _settings_that_fit_together(self) -> LoraSettings:
        """Refuses what would be ignored or can't work, with the remedy."""
        foreign = [name for name in LOW_RANK_ONLY if self.method not in LOW_RANK and self._is_set(name)]
        rules = {
            f"{', '.join(foreign)}: only with method: lora or qlora, not {self.method}": bool(foreign),
            "init: loftq makes up for 4 bits: set method: qlora": self.init == "loftq" and self.method != "qlora",
            f"init: {self.init} changes the base's weights, 4 bits don't allow it: method: lora, or init: loftq": (
                self.init in ("pissa", "olora") and self.method == "qlora"
            ),
            f"init: {self.init} doesn't go with dora: choose one": self.dora and self.init not in ("zero", "gaussian"),
            "init: orthogonal needs an even rank": self.init == "orthogonal" and self.rank % 2 == 1,
            f"top_layers: not with method: {self.method}": (
                self.top_layers is not None and self.method not in LOW_RANK | {"full"}
            ),
            "checkpoint_layers and offload: only with gradient_checkpointing": (
                (self.checkpoint_layers > 1 or self.offload) and not self.gradient_checkpointing
            ),
            "patience and keep_best: give eval_every": (self.patience > 0 or self.keep_best) and not self.eval_every,
            "keep_best: give checkpoint_every": self.keep_best and not self.checkpoint_every,
            "row_losses: only with objective: sft": self.row_losses and self.objective != "sft",
        }
        if broken := [told for told, is_broken in rules.items() if is_broken]:
            raise ValueError("; ".join(broken))
        return self

    def _is_set(self, name: str) -> bool:
        field = type(self).model_fields[name]
        return bool(getattr(self, name) != field.get_default(call_default_factory=True))
