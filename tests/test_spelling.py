"""YAML gives data or one YAMLError: no objects, no endless aliases, no traceback."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from datakit.errors import ConfigError
from datakit.pipeline import Pipeline, read_yaml
from datakit.spelling import LARGEST, parse_yaml
from tests.conftest import ROOT

LAUGHS = "a0: &a0 [하, 하]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
MERGES = "m0: &m0 {x: 1}\n" + "".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}\n" for n in range(1, 9))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "unfold"),
        (MERGES, "unfold"),
        ("a: &a [*a]", "holds itself"),
        ("[" * 100_000, "deeply"),
        ("[" * 200 + "]" * 200, "deeply"),
        ("- " * 5000 + "x", "deeply"),
        ("x" * (LARGEST + 1), "longer"),
        (f"a: {'9' * 5000}", "none of its kind"),
        ("a: 2026-13-45", "none of its kind"),
        ("a: !!bool maybe", "none of its kind"),
        ("a: !!timestamp soon", "none of its kind"),
        ("a: !!float 가", "none of its kind"),
    ],
    ids=lambda text: text[:12],
)
def test_a_text_made_to_do_harm_is_one_error_in_little_memory(text: str, said: str, tmp_path: Path) -> None:
    tracemalloc.start()
    with pytest.raises(yaml.YAMLError, match=said):
        parse_yaml(text)
    assert tracemalloc.get_traced_memory()[1] < 200 << 20
    tracemalloc.stop()
    (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        read_yaml(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system [echo 악]",
        "!!python/name:os.system",
        "!!python/object/new:os.system [x]",
        "!x {}",
    ],
)
def test_a_tag_makes_no_object(tag: str) -> None:
    with pytest.raises(yaml.YAMLError, match="constructor"):
        parse_yaml(f"a: {tag}")


def test_an_alias_or_two_is_welcome() -> None:
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 둘}\nc: [*a, *a]") == {
        "a": {"x": 1},
        "b": {"x": 1, "y": "둘"},
        "c": [{"x": 1}, {"x": 1}],
    }


def test_shipped_pipelines_are_read_as_pyyaml_reads_them() -> None:
    files = sorted(ROOT.glob("pipelines/*.yaml"))
    assert len(files) >= 3
    for path in files:
        assert parse_yaml(path.read_text(encoding="utf-8")) == yaml.safe_load(path.read_text(encoding="utf-8"))


@given(st.text(st.sampled_from("ab가:-[]{}&*!|>#'\",? \n\t~.019<%@`\\")))
def test_any_text_is_a_value_or_one_error(text: str) -> None:
    try:
        mine = parse_yaml(text)
    except yaml.YAMLError:
        return
    assert repr(mine) == repr(yaml.safe_load(text))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_value_is_no_pipeline_or_one_error(value: object) -> None:
    with pytest.raises(ConfigError):
        Pipeline.from_dict({"name": "p", "stages": value})


def test_a_setting_that_unfolds_is_kept_as_the_text_it_is(here: Path) -> None:
    with pytest.raises(ConfigError):
        Pipeline.from_dict({"name": "p", "stages": [{"use": "ingest", "files": "x"}]}, ["ingest.form=&a [*a]"])
