"""Finds a tokenizer by its spec, loads it, and says what it is for a key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from datakit.canon import digest_bytes, digest_file, key_of
from datakit.tokenizers.engines import HuggingFaceTokenizer, SentencePieceTokenizer, tokenizer_problem
from datakit.tokenizers.seam import Tokenizer

TRAINED = "trained:"
"""Begins the spec of a tokenizer that was trained on a corpus."""
_FILES = ("tokenizer*", "*.model", "vocab*", "merges.txt", "special_tokens_map.json", "chat_template*")
_NAMES = ("bos_token", "eos_token", "pad_token", "unk_token")


def load_tokenizer(spec: str, cache: Path, added: Sequence[str] = ()) -> Tokenizer:
    """Load a tokenizer by its spec (see the module's docstring), with some control tokens added to its own; raises
    ConfigError with a remedy."""
    found = _loaded(spec, cache)
    if added:
        found.add(added)
    return found


def _loaded(spec: str, cache: Path) -> Tokenizer:
    path = _path_of(spec, cache)
    if path.is_dir():
        return _from_folder(path)
    if path.suffix == ".model":
        return SentencePieceTokenizer(path)
    return HuggingFaceTokenizer(_read_json(path), digest_file(path), {}, None, (path,))


def tokenizer_identity(spec: str, cache: Path) -> str:
    """The content of a tokenizer as part of a key: digests of its files, never its path. Converts and loads nothing,
    except that a hub name is fetched if it isn't in the local cache."""
    if spec.startswith(TRAINED):
        return spec
    path = Path(spec).expanduser()
    if not path.is_dir():
        from datakit.models import SMOLLM2, find_base

        if path.suffix in (".model", ".json"):
            path = _path_of(spec, cache)
        elif spec == SMOLLM2 or path.suffix == ".gguf":
            path = find_base(spec).path
    if path.is_file():
        return _file_identity(str(path), path.stat().st_size, path.stat().st_mtime_ns)
    files = _tokenizer_files(_path_of(spec, cache))
    return key_of([[file.name, digest_file(file)] for file in files])


def embedding_rows(spec: str, cache: Path) -> int | None:
    """How many tokens the model beside a tokenizer can look up; None where there is no model."""
    if spec.startswith(TRAINED) or Path(spec).suffix in (".model", ".json"):
        return None
    settings = _read_settings(_path_of(spec, cache) / "config.json")
    rows = settings.get("vocab_size", settings.get("text_config", {}).get("vocab_size"))
    return rows if isinstance(rows, int) else None


def trained_path(key: str, cache: Path) -> Path:
    """Where the SentencePiece model of a `trained:<key>` spec lies."""
    return cache / "tokenizers" / f"{key}.model"


@lru_cache(maxsize=64)
def _file_identity(path: str, size: int, changed: int) -> str:
    return digest_file(path)


def _path_of(spec: str, cache: Path) -> Path:
    """The folder or file that a spec stands for."""
    if spec.startswith(TRAINED):
        path = trained_path(spec.removeprefix(TRAINED), cache)
        if not path.is_file():
            raise tokenizer_problem(
                "the tokenizer that was trained on the corpus is gone from the cache", "run the pipeline again"
            )
        return path
    path = Path(spec).expanduser()
    if path.is_dir() and _tokenizer_files(path):
        return path
    if path.suffix in (".model", ".json"):
        if not path.is_file():
            raise tokenizer_problem(f"no tokenizer file at {spec!r}", "paths are relative to the current directory")
        return path
    from datakit.models import tokenizer_folder

    return tokenizer_folder(spec, cache)


def _from_folder(folder: Path) -> Tokenizer:
    files = _tokenizer_files(folder)
    settings = _read_settings(folder / "special_tokens_map.json") | _read_settings(folder / "tokenizer_config.json")
    named = {name: text for name in _NAMES if (text := _text_of(settings.get(name)))}
    template = _chat_template(folder, settings)
    whole = folder / "tokenizer.json"
    if whole.is_file():
        fingerprint = key_of(digest_file(whole), named)
        return HuggingFaceTokenizer(_read_json(whole), fingerprint, named, template, files)
    from transformers import AutoTokenizer

    try:
        slow = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise tokenizer_problem(
            f"the folder {folder.name!r} holds no tokenizer that opens", "give a folder with tokenizer.json"
        ) from error
    backend = getattr(slow, "backend_tokenizer", None)
    if backend is None:
        raise tokenizer_problem(
            f"the tokenizer in {folder.name!r} gives no character offsets", "save it as a fast tokenizer"
        )
    named = {name: text for name in _NAMES if (text := _text_of(getattr(slow, name, None)))}
    fingerprint = key_of(digest_bytes(backend.to_str().encode()), named)
    return HuggingFaceTokenizer(backend, fingerprint, named, template, files)


def _tokenizer_files(folder: Path) -> list[Path]:
    return sorted({file for pattern in _FILES for file in folder.glob(pattern) if file.is_file()})


def _read_json(path: Path) -> Any:
    from tokenizers import Tokenizer as Backend

    try:
        return Backend.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception for a file it can't read
        raise tokenizer_problem(
            f"{path.name!r} in {path.parent.name!r} is no tokenizer file", "save the tokenizer again"
        ) from error


def _read_settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise tokenizer_problem(
            f"{path.name!r} in {path.parent.name!r} is damaged", "save the tokenizer again"
        ) from error


def _text_of(token: Any) -> str:
    """A special token's text: older files write it as an object."""
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")


def _chat_template(folder: Path, settings: Mapping[str, Any]) -> str | None:
    """The chat template: a file beside the tokenizer, else in its settings (one text, or several by name)."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = settings.get("chat_template")
    if isinstance(found, list):
        found = {one.get("name"): one.get("template") for one in found}.get("default")
    return str(found) if found else None
