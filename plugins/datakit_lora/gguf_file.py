"""A model as one GGUF file, for llama.cpp, Ollama and what stands on them; written by the package gguf.

Families: Llama (with Mistral and SmolLM, which are Llamas), Qwen2, Qwen3, with byte-level BPE tokenizers. Others are
refused by name: llama.cpp knows each by its own names, rotations and word splitting, and a guess would be a model that
answers nonsense. Llama's rotary embedding turns neighbours where transformers turns halves, so rows of its queries and
keys are laid out anew. How text is split into words is told by name (`tokenizer.ggml.pre`), found from the tokenizer's
own rules.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from datakit.errors import TrainError

FAMILIES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""transformers' name of a family -> llama.cpp's."""
SPLITS = {
    # Qwen's rule takes digits one at a time, Llama 3's up to three together.
    r"\p{N}{1,3}": "llama-bpe",
    r"\p{N}|": "qwen2",
}
"""A part of a tokenizer's regular expression -> llama.cpp's name for the whole."""
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4


def refuse_foreign(folder: Path) -> None:
    """A TrainError for what can't be written, before anything is computed."""
    family = _settings(folder).get("model_type", "?")
    if family not in FAMILIES:
        fix = f"one of {', '.join(sorted(FAMILIES))}; or merge without --gguf and convert it with llama.cpp"
        raise TrainError(f"models of the family {family} can't be written as GGUF", where=str(folder), fix=fix)
    _split_name(_tokenizer(folder))


def write_gguf(model: Any, folder: Path, path: Path, kind: str) -> Path:
    """Write a model that is loaded, with the tokenizer and settings in its folder; matrices as f32, f16 or q8_0."""
    from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType

    settings, tokenizer = _settings(folder), _tokenizer(folder)
    types = {
        "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
        "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
        "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    }
    matrices, file_type = types[kind]
    draft = path.with_suffix(".making")
    writer = GGUFWriter(str(draft), FAMILIES[settings["model_type"]])
    _write_settings(writer, settings, folder.name, file_type)
    _write_tokenizer(writer, tokenizer, folder, settings)
    _write_tensors(writer, model, settings, matrices)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    draft.rename(path)
    return path


def write_modelfile(folder: Path, file: str) -> Path:
    """Ollama's description of the model; the chat template is inside the GGUF."""
    path = folder / "Modelfile"
    stop = _stop_token(folder)
    lines = [f"FROM ./{file}", "PARAMETER temperature 0", *([f'PARAMETER stop "{stop}"'] if stop else [])]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _settings(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def _tokenizer(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if found.get("model", {}).get("type") != "BPE" or "ByteLevel" not in json.dumps(found.get("pre_tokenizer")):
        fix = "a base with a byte-level BPE tokenizer (Llama 3, Qwen, SmolLM); or convert it with llama.cpp"
        raise TrainError("only byte-level BPE tokenizers can be written as GGUF", where=str(folder), fix=fix)
    return dict(found)


def _split_name(tokenizer: dict[str, Any]) -> str:
    """llama.cpp's name for how the tokenizer splits text into words."""
    told = json.dumps(tokenizer["pre_tokenizer"], ensure_ascii=False).replace("\\\\", "\\")
    if '"Digits"' in told:
        return "smollm"
    if '"Split"' not in told:
        return "gpt-2"
    for part, name in SPLITS.items():
        if part in told:
            return name
    raise TrainError("how this tokenizer splits words is not known to llama.cpp", fix="merge without --gguf")


def _write_settings(writer: Any, settings: dict[str, Any], name: str, file_type: int) -> None:
    heads = settings["num_attention_heads"]
    width = settings.get("head_dim") or settings["hidden_size"] // heads
    rope = settings.get("rope_parameters") or {}
    if rope.get("rope_type", "default") != "default":
        raise TrainError(
            f"rotary embeddings of the type {rope['rope_type']} can't be written as GGUF", fix="merge alone"
        )
    writer.add_name(name)
    writer.add_context_length(settings["max_position_embeddings"])
    writer.add_embedding_length(settings["hidden_size"])
    writer.add_block_count(settings["num_hidden_layers"])
    writer.add_feed_forward_length(settings["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(settings.get("num_key_value_heads") or heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(float(rope.get("rope_theta") or settings.get("rope_theta") or 10_000.0))
    writer.add_layer_norm_rms_eps(settings["rms_norm_eps"])
    writer.add_vocab_size(settings["vocab_size"])
    writer.add_file_type(file_type)


def _write_tokenizer(writer: Any, tokenizer: dict[str, Any], folder: Path, settings: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    opened = AutoTokenizer.from_pretrained(folder)
    added = {one["id"]: one for one in tokenizer.get("added_tokens", [])}
    words = {place: token for token, place in tokenizer["model"]["vocab"].items()}
    words |= {place: one["content"] for place, one in added.items()}
    # A vocabulary is often padded; llama.cpp wants a name for every row of the matrix.
    size = settings["vocab_size"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_split_name(tokenizer))
    writer.add_token_list([words.get(place, f"[PAD{place}]") for place in range(size)])
    kinds = [
        (CONTROL if added[place].get("special") else USER_DEFINED) if place in added
        else NORMAL if place in words else CONTROL
        for place in range(size)
    ]  # fmt: skip
    writer.add_token_types(kinds)
    merges = tokenizer["model"]["merges"]
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    for token, add in (
        (opened.bos_token_id, writer.add_bos_token_id),
        (opened.eos_token_id, writer.add_eos_token_id),
        (opened.pad_token_id, writer.add_pad_token_id),
    ):
        if token is not None:
            add(token)
    writer.add_add_bos_token(_begins_with_bos(opened))
    if opened.chat_template:
        # llama.cpp's Jinja has no {% generation %}, which only marks what is learned.
        template = opened.chat_template
        for mark in ("{% generation %}", "{% endgeneration %}", "{%- generation %}", "{%- endgeneration %}"):
            template = template.replace(mark, "")
        writer.add_chat_template(template)


def _begins_with_bos(tokenizer: Any) -> bool:
    ids = tokenizer("a")["input_ids"]
    return bool(ids) and ids[0] == tokenizer.bos_token_id


def _write_tensors(writer: Any, model: Any, settings: dict[str, Any], matrices: Any) -> None:
    from gguf import MODEL_ARCH, GGMLQuantizationType, get_tensor_name_map
    from gguf.quants import quantize

    family = FAMILIES[settings["model_type"]]
    names = get_tensor_name_map(MODEL_ARCH[family.upper()], settings["num_hidden_layers"])
    heads = settings["num_attention_heads"]
    groups = settings.get("num_key_value_heads") or heads
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and settings.get("tie_word_embeddings"):
            continue
        stem, _, end = name.rpartition(".")
        known = names.get_name(stem)
        if known is None:
            raise TrainError(f"the weight {name} has no name in GGUF", fix="merge without --gguf")
        value = tensor.detach().float()
        if family == "llama" and stem.endswith(("q_proj", "k_proj")):
            value = _neighbours(value, heads if stem.endswith("q_proj") else groups)
        array = value.contiguous().numpy()
        kind = matrices if array.ndim == 2 and array.shape[1] % 32 == 0 else GGMLQuantizationType.F32
        data = array if kind == GGMLQuantizationType.F32 else quantize(array, kind)
        writer.add_tensor(f"{known}.{end}", data, raw_dtype=kind)


def _neighbours(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of each head from (first halves, second halves) to pairs, for a rotation of neighbours."""
    rest = weight.shape[1:]
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *rest).swapaxes(1, 2).reshape(weight.shape)


def _stop_token(folder: Path) -> str:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder).eos_token or ""
