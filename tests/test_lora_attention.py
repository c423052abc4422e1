"""Packed documents do not see each other, and the loss is the one that each would have alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datakit_lora.attention import Documents, attend, blocks, hidden_states, masked, prove_isolation, use_attention
from datakit_lora.batches import lay_out, read_rows
from datakit_lora.loss import FrozenHead, Losses, frozen_head_loss, losses_of

from datakit.errors import TrainError
from datakit.models import load_base
from tests.lora_rows import documents, packed, table


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def ready(tiny_llama: Path) -> tuple[Any, Any]:
    """A model whose documents are kept apart, and its tokenizer."""
    model, tokenizer = load_base(tiny_llama)
    use_attention(model, "blocks")
    return model, tokenizer


def _tensors(docs: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([[token for doc in docs for token in doc]])
    positions = torch.tensor([[place for doc in docs for place in range(len(doc))]])
    return ids, positions


def _hidden(model: Any, docs: list[list[int]]) -> torch.Tensor:
    ids, positions = _tensors(docs)
    lengths = tuple(len(doc) for doc in docs)
    return hidden_states(model.model, positions, Documents(lengths, ids.device), input_ids=ids)


def test_blocks_packed_logits_equal_those_of_each_document_alone(tiny_llama: Path, ready: tuple[Any, Any]) -> None:
    model, tokenizer = ready
    docs = [ids for ids, _ in documents(tokenizer)]
    plain, _ = load_base(tiny_llama)
    with torch.no_grad():
        together = model.lm_head(_hidden(model, docs))[0]
        alone = torch.cat([plain(torch.tensor([doc])).logits[0] for doc in docs])
    assert torch.allclose(together, alone, atol=1e-5)


def test_blocks_changing_one_document_leaves_its_neighbours_bitwise_alone(ready: tuple[Any, Any]) -> None:
    model, tokenizer = ready
    docs = [ids for ids, _ in documents(tokenizer, 3)]
    changed = [docs[0], [7] * len(docs[1]), docs[2]]
    with torch.no_grad():
        before, after = (_hidden(model, some)[0].split([len(d) for d in docs]) for some in (docs, changed))
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[2], after[2])
    assert not torch.equal(before[1], after[1])


def _with_cache(model: Any, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    return model.model(input_ids=ids, position_ids=positions, use_cache=True).last_hidden_state


def _with_mask(model: Any, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    mask = torch.ones_like(ids)
    return model.model(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).last_hidden_state


@pytest.mark.parametrize("call", [_with_cache, _with_mask])
def test_transformers_own_packing_leaks_as_the_planted_breach_shows(
    tiny_llama: Path, call: Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]
) -> None:
    """The two ways in which stock transformers lets documents see each other: what the tests above would catch."""
    model, tokenizer = load_base(tiny_llama)
    docs = [ids for ids, _ in documents(tokenizer, 2)]
    with torch.no_grad():
        together = call(model, *_tensors(docs))[0, len(docs[0]) :]
        alone = model.model(input_ids=torch.tensor([docs[1]]), use_cache=False).last_hidden_state[0]
    assert (together - alone).abs().max() > 1e-2


class _LeakyBackbone:
    """A planted breach: calls the layers as one document."""

    def __init__(self, backbone: Any) -> None:
        self.backbone = backbone

    def __call__(self, *, input_ids: torch.Tensor, documents: Documents, **call: Any) -> Any:
        return self.backbone(input_ids=input_ids, documents=Documents((input_ids.shape[1],), input_ids.device), **call)


def test_prove_isolation_passes_ours_and_refuses_a_leak(ready: tuple[Any, Any]) -> None:
    model, _ = ready
    prove_isolation(model, model.model)
    with pytest.raises(TrainError, match="see each other"):
        prove_isolation(model, _LeakyBackbone(model.model))


def test_blocks_without_lengths_is_refused(ready: tuple[Any, Any]) -> None:
    model, _ = ready
    with pytest.raises(TrainError, match="can't be kept apart"):
        model(input_ids=torch.tensor([[4, 5]]))


def test_blocks_sliding_window_hides_what_lies_further_back() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, 2, 9, 8, generator=generator) for _ in range(3))
    documents = Documents((9,), query.device)
    short, _ = attend(None, query, key, value, None, kernel=blocks, sliding_window=3, documents=documents)
    seen = torch.ones(9, 9).tril().bool() & ~torch.ones(9, 9).tril(-3).bool()
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
    assert torch.allclose(short, expected.transpose(1, 2), atol=1e-6)
    other, _ = attend(None, query, key, value, None, kernel=masked, sliding_window=3, documents=documents)
    assert torch.allclose(other, expected.transpose(1, 2), atol=1e-6)


def test_summed_loss_and_gradients_equal_those_of_each_document_alone(tiny_llama: Path, ready: tuple[Any, Any]) -> None:
    model, tokenizer = ready
    docs = documents(tokenizer)
    batch = lay_out(read_rows(table(packed(docs))))
    model.requires_grad_(False)
    layer = model.model.layers[0].mlp.up_proj.weight.requires_grad_(True)
    losses = losses_of(model)
    assert losses.weight is not None
    packed_loss = losses.summed(batch)
    packed_loss.backward()
    plain, _ = load_base(tiny_llama)
    alone = sum(
        torch.nn.functional.cross_entropy(
            plain(torch.tensor([ids])).logits[0, :-1], torch.tensor(labels[1:]), ignore_index=-100, reduction="sum"
        )
        for ids, labels in docs
    )
    alone.backward()
    assert torch.allclose(packed_loss, alone, rtol=1e-5)
    assert torch.allclose(layer.grad, plain.model.layers[0].mlp.up_proj.weight.grad, rtol=1e-3, atol=1e-4)
    own_path = Losses(model, model.model, None).summed(batch)
    assert torch.allclose(own_path, packed_loss, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 7, 64, 150])
def test_frozen_head_loss_equals_cross_entropy_for_any_tile(count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    hidden = torch.randn(count, 16, generator=generator, requires_grad=True)
    weight = torch.randn(200, 16, generator=generator)
    wanted = torch.randint(0, 200, (count,), generator=generator)
    expected = torch.nn.functional.cross_entropy(hidden @ weight.T, wanted, reduction="sum")
    slope = torch.autograd.grad(expected * 0.25, hidden)[0]
    for tile in (64, 128):
        found = frozen_head_loss(hidden, weight, wanted, tile).sum()
        assert torch.allclose(found, expected, rtol=1e-5)
        assert torch.allclose(torch.autograd.grad(found * 0.25, hidden)[0], slope, atol=1e-5)


def test_frozen_head_a_confident_model_has_no_gradient_and_no_overflow() -> None:
    hidden = torch.full((2, 4), 100.0, requires_grad=True)
    weight = torch.zeros(8, 4)
    weight[3] = 100.0
    loss = FrozenHead.apply(hidden, weight, torch.tensor([3, 3]), 64).sum()
    loss.backward()
    assert loss.item() == 0.0
    assert hidden.grad.abs().max() == 0.0
