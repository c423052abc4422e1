"""What the trainer says of the machine before it computes."""

from __future__ import annotations

from pathlib import Path

import datakit_lora.run
import pytest
import torch
from datakit_lora.config import LoraSettings
from datakit_lora.device import cores, cpu_threads, crowded
from datakit_lora.trainer import LoraTrainer

from datakit.trainer import Event, TrainJob
from tests.lora_rows import fitting


@pytest.mark.parametrize(
    ("threads", "load", "count", "warned"),
    [(2, 2.5, 2, True), (2, 2.0, 2, False), (1, 9.0, 2, False), (8, 0.3, 8, False), (8, 20.0, 8, True)],
)
def test_busy_machine_is_told_only_where_several_threads_would_wait(
    threads: int, load: float, count: int, warned: bool
) -> None:
    said = crowded(threads, load, count)
    assert ("--set train.threads=1" in said) == warned
    assert bool(said) == warned


def test_load_never_chooses_the_number_of_threads() -> None:
    with cpu_threads(0) as threads:
        assert threads == cores() == torch.get_num_threads()


@pytest.mark.parametrize("threads", [1, 2])
def test_trainer_says_once_that_the_machine_is_busy(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr(datakit_lora.run, "load_average", lambda: 99.0)
    made, said = fitting(tiny_llama, tmp_path / "out", rows=6), list[str]()
    heard: list[Event] = []
    settings = LoraSettings(base=str(tiny_llama), rank=2, max_steps=1, threads=threads, device="cpu")
    LoraTrainer().fit(made.manifest, settings, TrainJob(made.store, made.out, made.cache, heard.append, said.append))
    assert [line.startswith("this machine is busy") for line in said] == [True] * (threads - 1)
