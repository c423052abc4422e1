"""How much memory a run will need, before anything of it is loaded; and the largest micro-batch that fits.

    weights       the base in its number type (4-bit layers: half a byte a weight and their scales)
    adapter       what is trained, in float32, with its gradients
    optimiser     AdamW's two moments (8 bytes a trained weight; 2 in 8 bits)
    activations   what autograd keeps of one micro-batch, and with gradient checkpointing one layer computed again
    logits        one tile of the loss head
    process       Python, torch and its libraries (CPU: this process as it stands; CUDA: its context)

Nothing here is a formula for one family: the model is built without memory (torch's meta and fake tensors), the adapter
is put on it by the same code that trains, one micro-batch runs through it, and autograd is asked what it would keep.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from datakit_lora.adapter import hushed
from datakit_lora.attention import Documents, hidden_states, use_attention
from datakit_lora.batches import ROUND, Row
from datakit_lora.config import SOFT, LoraSettings
from datakit_lora.device import computing_in
from datakit_lora.fused import fuse
from datakit_lora.loss import TILE
from datakit_lora.methods import linear_names, peft_config, train_all

CUDA_CONTEXT = 600 * 2**20
"""What a CUDA context and cuBLAS' workspace take."""
SCALE_BYTES = {True: 0.127 / 8, False: 0.5 / 8}
"""Bytes of scales a 4-bit weight, with double quantisation and without (Dettmers et al., 2305.14314, section 3)."""
STATE_BYTES = {"adamw": 8.0, "adamw8bit": 2.03, "paged_adamw8bit": 2.03}
PROBE_TOKENS = 1024
ROOM = 0.9
"""Share of the free memory that a plan may fill: allocators leave holes."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes, by what they are for."""

    weights: int
    adapter: int
    optimiser: int
    activations: int
    logits: int
    process: int
    trained_parameters: int
    micro_batch_tokens: int
    bytes_a_token: int
    free: int
    """What is free on the device now, this process included."""
    device: str
    dtype: str

    @property
    def total(self) -> int:
        """All of it."""
        return self.fixed + self.activations

    @property
    def fixed(self) -> int:
        """What doesn't grow with the micro-batch."""
        return self.weights + self.adapter + self.optimiser + self.logits + self.process

    @property
    def largest_batch_tokens(self) -> int:
        """The largest `batch_tokens` that fits into what is free; 0: not even the weights do."""
        room = ROOM * self.free - self.fixed
        return max(0, int(room / self.bytes_a_token) // ROUND * ROUND)

    def as_json(self) -> dict[str, Any]:
        """All figures."""
        told = asdict(self)
        return {**told, "total": self.total, "largest_batch_tokens": self.largest_batch_tokens}

    def beside(self, measured: int) -> dict[str, Any]:
        """The plan with what was measured."""
        return {"planned": self.as_json(), "measured": measured, "ratio": round(measured / self.total, 3)}


def plan_memory(
    folder: Path, config: LoraSettings, device: str, dtype: str, rows: Sequence[Row] = (), slots: int = 0
) -> MemoryPlan:
    """The plan for a base folder; micro-batches as in `rows`, or of `slots` token slots a row."""
    # PEFT imports bitsandbytes, which warns about a kernel that it would fetch from a network.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    widest = max((row.slots for row in rows), default=slots or config.batch_tokens)
    tokens = _whole(max(widest, config.batch_tokens // widest * widest))
    with torch.device("meta"):
        model = _model(folder, dtype)
        weights = _weight_bytes(model, config)
        adapted = _adapted(model, config)
    trained = sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)
    # What is kept grows with the tokens alone, so a line of some of them says what all of them need.
    probe = min(tokens, PROBE_TOKENS)
    a_token = max(1, _kept(adapted, model, config, dtype, _lengths(rows, probe)) // probe)
    return MemoryPlan(
        weights=weights,
        # `full`: what is trained is the base, counted as weights already; its gradients are not.
        adapter=trained * (4 if config.method == "full" else 8),
        optimiser=int(trained * STATE_BYTES[config.optimizer]),
        activations=a_token * tokens,
        logits=TILE * int(model.config.vocab_size) * (4 if dtype == "float32" else 6),
        process=CUDA_CONTEXT if device == "cuda" else _resident(),
        trained_parameters=trained,
        micro_batch_tokens=tokens,
        bytes_a_token=a_token,
        free=free_memory(device),
        device=device,
        dtype=dtype,
    )


def _whole(tokens: int) -> int:
    return -(-tokens // ROUND) * ROUND


def _lengths(rows: Sequence[Row], tokens: int) -> tuple[int, ...]:
    """Documents of a full micro-batch: as long as the rows' own are, one long one without rows."""
    lengths = [len(piece.input_ids) for row in rows for piece in row.pieces] or [tokens]
    found: list[int] = []
    left = tokens
    while left:
        found.append(min(lengths[len(found) % len(lengths)], left))
        left -= found[-1]
    return tuple(found)


def _model(folder: Path, dtype: str) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder)
    return AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype), attn_implementation="sdpa")


def _weight_bytes(model: Any, config: LoraSettings) -> int:
    """Of the base as it will lie in memory."""
    total = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    if config.method == "full":
        return sum(weight.numel() * 4 for weight in model.parameters())
    if config.method != "qlora":
        return total
    names = tuple(f".{name}.weight" for name in linear_names(model))
    linear = [weight for name, weight in model.named_parameters() if name.endswith(names)]
    saved = sum(weight.numel() * (weight.element_size() - 0.5 - SCALE_BYTES[config.double_quant]) for weight in linear)
    return int(total - saved)


def _adapted(model: Any, config: LoraSettings) -> Any:
    """The model with what is trained on it, by the code that trains."""
    from peft import get_peft_model

    use_attention(model, "blocks")
    model.requires_grad_(False)
    if config.method == "full":
        train_all(model, config)
        return model
    # Where an adapter starts and which tokens it knows needs weights and words, and changes no size.
    plain = config.model_copy(update={"init": "zero", "train_tokens": ()})
    with hushed():
        adapted = get_peft_model(model, peft_config(model, None, plain))
    fuse(adapted)
    return adapted


def _kept(adapted: Any, model: Any, config: LoraSettings, dtype: str, lengths: tuple[int, ...]) -> int:
    """Bytes that a micro-batch keeps until its gradients are made."""
    backbone = model.base_model
    layers = int(model.config.num_hidden_layers)
    with FakeTensorMode(allow_non_fake_inputs=True):
        _imagine(adapted)
        whole = _saved_bytes(adapted, backbone, config, dtype, lengths)
    if not config.gradient_checkpointing:
        # Going back, a layer's gradients stand beside what is kept.
        return whole + whole // layers
    # Of checkpointed layers the input stays; one at a time is computed again.
    border = sum(lengths) * int(model.config.hidden_size) * (4 if dtype == "float32" else 2)
    spared = -(-layers // config.checkpoint_layers)
    borders = 0 if config.offload else spared * border
    return borders + (layers - spared) * whole // layers + 2 * whole // layers


def _imagine(model: Any) -> None:
    """Give every weight a shape on the CPU instead of none anywhere, so that operations choose as they do there."""
    known: dict[int, torch.Tensor] = {}

    def twin(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in known:
            empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
            is_weight = isinstance(tensor, torch.nn.Parameter)
            known[id(tensor)] = torch.nn.Parameter(empty, tensor.requires_grad) if is_weight else empty
        return known[id(tensor)]

    for part in model.modules():
        for held in (part._parameters, part._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    held[name] = twin(tensor)


def _saved_bytes(adapted: Any, backbone: Any, config: LoraSettings, dtype: str, lengths: tuple[int, ...]) -> int:
    """What autograd keeps of one forward pass, each storage once, without the weights."""
    weights = {weight.untyped_storage()._cdata for weight in adapted.parameters()}
    found: dict[int, tuple[int, Any]] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            # Held, so that no later storage can have its address.
            found[storage._cdata] = (storage.nbytes(), storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, _same), computing_in(dtype, adapted):
        ids = torch.zeros(1, sum(lengths), dtype=torch.long)
        positions = torch.cat([torch.arange(length) for length in lengths])[None]
        embedded = backbone.get_input_embeddings()(ids)
        if config.method in SOFT:
            # Virtual tokens ask for gradients from the lowest layer on; where they stand costs nothing.
            embedded = embedded.detach().requires_grad_()
        hidden_states(backbone, positions, Documents(lengths, ids.device), inputs_embeds=embedded)
    return sum(size for size, _ in found.values())


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def free_memory(device: str) -> int:
    """Bytes that this process may use on a device, what it uses already included."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0] + torch.cuda.memory_allocated() + CUDA_CONTEXT)
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    known = Path("/proc/meminfo")
    if known.is_file():
        lines = dict(line.split(":", 1) for line in known.read_text().splitlines())
        pages = int(lines.get("MemAvailable", f"{pages // 1024} kB").split()[0]) * 1024
    limits = [pages, *_container_limits()]
    return min(limits) + _resident()


def _container_limits() -> Iterator[int]:
    """What a container leaves, where it sets a limit (cgroup 2)."""
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdigit():
        yield max(0, int(text) - int(used.read_text()))


def _resident() -> int:
    """Bytes of this process now."""
    known = Path("/proc/self/statm")
    if known.is_file():
        return int(known.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
