"""Training from the outside: settings, reuse, damage, and failures in plain words; with a trainer of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datakit.errors import ConfigError, TrainError
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.schemas import table_from_rows
from datakit.store import Store
from datakit.trainer import Event
from datakit.training import merge, open_adapter, plan_training, read_artifact, settings_of, train
from tests.command_line import call
from tests.trainers_of_ones_own import OWN, WEIGHTS

PARROT = f"{OWN}:Parrot"


@pytest.fixture
def store(here: Path) -> Store:
    """A store with the published dataset `p` of one row."""
    found = Store(here / "store").prepare()
    publish(found, ["글"], "1")
    return found


def publish(store: Store, texts: list[str], version: str) -> DatasetManifest:
    rows = [{"id": text, "source_id": text, "text": text, "parents": []} for text in texts]
    shard = store.put_shard(table_from_rows(rows, "document"), "document")
    manifest = DatasetManifest(
        name="p", version=version, kind="document", digest=shard.digest, rows=len(rows), shards=(shard,), recipe={},
        stages=(),
    )  # fmt: skip
    store.publish(manifest)
    return manifest


def fit(store: Store, trainer: str = PARROT, out: str = "adapter", **settings: object) -> tuple[AdapterArtifact, bool]:
    """The adapter, and whether it was trained rather than found."""
    heard: list[Event] = []
    artifact = train(store.manifest("p"), trainer, settings, store=store, out=out, report=heard.append)
    return artifact, any(event.what == "train" for event in heard)


def test_equal_training_is_found_and_not_done_again(store: Store) -> None:
    first, trained = fit(store)
    again, repeated = fit(store, gain=0.5)
    assert (trained, repeated) == (True, False)
    assert again == first
    assert store.adapters() == [first]
    assert fit(store, gain=0.25)[1]


def test_new_data_is_trained_on(store: Store) -> None:
    first, _ = fit(store)
    publish(store, ["글", "또 글"], "2")
    second, trained = fit(store)
    assert trained
    assert (second.dataset, second.name != first.name) == ("p@2", True)


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_text("다른 것")])
def test_damaged_adapter_is_refused_and_trained_again(store: Store, harm) -> None:  # type: ignore[no-untyped-def]
    fit(store)
    harm(Path("adapter") / WEIGHTS)
    with pytest.raises(TrainError, match="missing or changed"):
        open_adapter("adapter")
    assert fit(store)[1]
    open_adapter("adapter")


def test_adapter_folder_can_be_moved(store: Store) -> None:
    fit(store)
    Path("adapter").rename("moved")
    found = read_artifact("moved")
    assert found is not None
    assert found.path == "moved"
    assert "adapter" not in json.loads(Path("moved/artifact.json").read_text())["path"]
    assert open_adapter("moved")[0].dataset == "p@1"


def test_all_wrong_settings_are_told(store: Store) -> None:
    with pytest.raises(ConfigError) as caught:
        fit(store, gian=1, seed="x")
    lines = "\n".join(caught.value.lines())
    assert "did you mean 'gain'?" in lines
    assert "train.seed" in lines


def test_what_the_trainer_refuses_and_how_it_fails_is_told(store: Store) -> None:
    with pytest.raises(TrainError, match="out of luck") as caught:
        fit(store, f"{OWN}:Clumsy")
    assert "run again" in caught.value.fix
    assert read_artifact("adapter") is None
    empty = store.manifest("p").model_copy(update={"rows": 0})
    with pytest.raises(TrainError, match="there are no rows"):
        train(empty, PARROT, {}, store=store, out="adapter")
    with pytest.raises(ConfigError, match="no trainer 'loar'"):
        fit(store, "loar")


def test_adapter_that_cannot_be_opened_says_why(store: Store) -> None:
    fit(store, f"{OWN}:Mute", out="mute")
    with pytest.raises(TrainError, match="can't open"):
        open_adapter("mute")
    with pytest.raises(TrainError, match="no adapter here"):
        open_adapter("nowhere")
    Path("mute/artifact.json").write_text("{}")
    with pytest.raises(TrainError, match=r"artifact\.json is damaged"):
        open_adapter("mute")


def test_settings_are_read_as_yaml() -> None:
    told = settings_of(["rank=8", "learning_rate=2e-4", "base=a/b=c", "targets=[q, v]", "x=[1,", "on=true"])
    assert told == {
        "rank": 8, "learning_rate": "2e-4", "base": "a/b=c", "targets": ["q", "v"], "x": "[1,", "on": True,
    }  # fmt: skip


def test_settings_without_a_value_are_all_told() -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(["rank", "=3", "seed=1"])
    assert [problem.path for problem in caught.value.problems] == ["--set rank", "--set =3"]


def test_command_trains_with_settings_of_its_own(store: Store) -> None:
    told = call("train", "p", PARROT, "--out", "adapter", "--set", "gain=2.5e-1", "--json")
    assert (told.code, told.json["config"]["gain"]) == (0, 0.25)
    call("train", "p", PARROT, "--out", "b", "--set", "gain").is_an_error(2, "--set gain", "field=value")
    call("train", "q", PARROT, "--out", "b").is_an_error(6, "no dataset 'q'", "p@1")
    call("train", "p", "--out", "b").is_an_error(7, "document", "p@1")


def test_a_plan_trains_nothing_and_comes_from_the_trainer(store: Store) -> None:
    told = plan_training(store.manifest("p"), PARROT, {}, store=store, out="adapter")
    assert told["weights"] == 1
    assert not Path("adapter").exists()
    with pytest.raises(TrainError, match="plans no memory"):
        plan_training(store.manifest("p"), f"{OWN}:Mute", {}, store=store, out="adapter")


def test_a_trainer_that_can_not_merge_says_so(store: Store) -> None:
    fit(store, f"{OWN}:Mute")
    with pytest.raises(TrainError, match="merges no adapters"):
        merge("adapter", "merged", dtype="float32", gguf=None, rows=[])


def test_every_setting_of_every_shipped_plugin_is_explained() -> None:
    from datakit import api

    told = [one for name in ("lora", "transformers", "dedup") for one in api.plugins(name)]
    assert [one["kind"] for one in told] == ["trainer", "trainer", "teacher", "stage"]
    for one in told:
        assert len(one["settings"]) > 5
        assert all(setting["help"] for setting in one["settings"]), one["name"]
    with pytest.raises(ConfigError, match="no plugin"):
        api.plugins("lorra")
