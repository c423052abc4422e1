"""Virtual tokens on packed rows: prompt tuning, P-tuning and prefix tuning give what they give to each document alone.

PEFT puts virtual tokens before a whole input, which for a packed row would be its first document only. Here every
document has its own: input vectors in places that `lay_out` left (prompt, ptuning), or keys and values that each of its
tokens sees in every layer (prefix; positions then begin behind them, as transformers counts a cache). So the adapter
that is trained is the one that PEFT opens, one input at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from datakit_lora.attention import Documents, hidden_states


@dataclass(frozen=True, slots=True)
class Soft:
    """The virtual tokens of a PEFT model."""

    model: Any

    @property
    def count(self) -> int:
        """How many there are before a document."""
        return int(self.model.peft_config["default"].num_virtual_tokens)

    @property
    def in_the_line(self) -> int:
        """How many of them take a place in the line of tokens: none of a prefix, which is keys and values."""
        return 0 if self._is_prefix else self.count

    @property
    def _is_prefix(self) -> bool:
        return str(self.model.peft_config["default"].peft_type).endswith("PREFIX_TUNING")

    def hidden_states(
        self, backbone: Any, ids: torch.Tensor, positions: torch.Tensor, documents: Documents
    ) -> torch.Tensor:
        """The last hidden states [1, n, width]; `ids` is negative where a virtual token goes."""
        if self._is_prefix:
            cache = self.model.get_prompt(batch_size=1)
            documents.prefix = [(layer.keys, layer.values) for layer in cache.layers]
            return hidden_states(backbone, positions[None] + self.count, documents, input_ids=ids[None])
        virtual = self.model.get_prompt(batch_size=1)[0]
        known = backbone.get_input_embeddings()(ids.clamp(min=0))
        places = positions.clamp(max=self.count - 1)
        embedded = torch.where((ids < 0)[:, None], virtual.to(known.dtype)[places], known)
        return hidden_states(backbone, positions[None], documents, inputs_embeds=embedded[None])
