"""The fused LoRA steps give PEFT's own losses and gradients, and step aside where they don't apply."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datakit_lora import prepare as preparing
from datakit_lora.batches import lay_out, read_rows
from datakit_lora.fused import fuse
from datakit_lora.prepare import prepare

from datakit.models import resolve_base
from tests.lora_rows import fitting, settings


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _ready(base: Path, tmp_path: Path, **changes: Any) -> Any:
    config = settings(base, **changes)
    engine, _ = prepare(resolve_base(str(base), tmp_path), config, "cpu", config.dtype)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in engine.weights.values():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    return engine


@pytest.mark.parametrize("changes", [{}, {"top_layers": 1}, {"target_modules": ("q_proj", "down_proj")}])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_fused_loss_and_gradients_are_pefts(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], dtype: str
) -> None:
    from datakit_lora.device import computing_in

    rows = read_rows(fitting(tiny_llama, tmp_path / "adapter").store.train)
    found = []
    for own in (True, False):
        monkeypatch.setattr(preparing, "fuse", fuse if own else lambda model: 0)
        engine = _ready(tiny_llama, tmp_path, dtype=dtype, **changes)
        with computing_in(dtype, engine.model):
            loss = engine.losses.summed(lay_out(rows))
        loss.backward()
        found.append((float(loss.detach()), {name: weight.grad for name, weight in engine.weights.items()}))
    exact = dtype == "float32"
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6 if exact else 5e-3)
    for name, slope in found[0][1].items():
        near = (1e-4 if exact else 6e-2) * float(found[1][1][name].abs().max())
        assert slope.dtype == torch.float32
        assert torch.allclose(slope, found[1][1][name], atol=near, rtol=0), name


def test_fused_steps_gradients_are_those_of_finite_differences(tiny_llama: Path, tmp_path: Path) -> None:
    from datakit_lora.fused import GatedMlp, LowRank

    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)

    x, a, b = draw(5, 6), draw(2, 6), draw(4, 2)
    weight, bias = draw(4, 6).detach(), draw(4).detach()
    assert torch.autograd.gradcheck(lambda x, a, b: LowRank.apply(x, weight, bias, a, b, 0.7), (x, a, b))
    frozen = tuple((draw(*shape).detach(), None, 0.5) for shape in ((8, 6), (8, 6), (6, 8)))
    small = (draw(2, 6), draw(8, 2), draw(2, 6), draw(8, 2), draw(2, 8), draw(6, 2))
    assert torch.autograd.gradcheck(lambda x, *small: GatedMlp.apply(x, frozen, *small), (x, *small))


def test_fused_keeps_less_for_the_way_back(tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = read_rows(fitting(tiny_llama, tmp_path / "adapter").store.train)
    kept = []
    for own in (True, False):
        monkeypatch.setattr(preparing, "fuse", fuse if own else lambda model: 0)
        engine = _ready(tiny_llama, tmp_path)
        sizes: dict[int, int] = {}
        held: list[torch.Tensor] = []

        def note(tensor: torch.Tensor, sizes: dict[int, int] = sizes, held: list[Any] = held) -> torch.Tensor:
            held.append(tensor)
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            engine.losses.hidden(lay_out(rows))
        kept.append(sum(sizes.values()))
    assert kept[0] < 0.8 * kept[1]


@pytest.mark.parametrize("changes", [{"dora": True}, {"dropout": 0.1}, {"method": "qlora"}, {"method": "ia3"}])
def test_fused_leaves_what_is_not_plain_to_peft(tiny_llama: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    if changes.get("method") == "qlora":
        pytest.importorskip("bitsandbytes")
    engine = _ready(tiny_llama, tmp_path, **changes)
    assert fuse(engine.model) == 0


def test_fused_adapter_that_is_switched_off_is_the_base(tiny_llama: Path, tmp_path: Path) -> None:
    from datakit.models import load_base

    engine = _ready(tiny_llama, tmp_path)
    base, _ = load_base(tiny_llama)
    engine.losses.model.set_attn_implementation("sdpa")
    ids = torch.arange(4, 40)[None]
    with torch.no_grad(), engine.model.disable_adapter():
        assert torch.equal(engine.model(input_ids=ids).logits, base(input_ids=ids).logits)
