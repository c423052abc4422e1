"""Prompts are files: strict, safe against braces, overridable, and part of a stage's identity."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit import api
from datakit.errors import ConfigError
from datakit.stages.synthesize import RECIPES, Synthesize
from datakit.stages.synthesize.judge import Judge
from datakit.stages.synthesize.prompting import SHIPPED, Prompts, problems
from datakit.stages.synthesize.taught import Taught
from tests.command_line import call
from tests.recipes import recipe, recorded

ENGLISH_ONLY = {"published_instructions", "published_instance", "published_labels", "published_tasks"}


def names(language: str) -> set[str]:
    return {name.rpartition(".")[0] for name in Prompts().known if name.endswith(f".{language}")}


def test_every_prompt_is_there_in_both_languages_with_the_same_variables() -> None:
    assert names("en") - names("ko") == ENGLISH_ONLY
    prompts = Prompts()
    for name in names("ko"):
        assert prompts.named(name, "ko").variables == prompts.named(name, "en").variables, name
        for language in ("ko", "en"):
            assert prompts.named(name, language).about


def test_every_prompt_belongs_to_a_recipe_and_every_recipe_has_its_prompts() -> None:
    asking = [found for found in Synthesize.variants().values() if issubclass(found, Taught)]
    used = {name for found in (*asking, Judge) for name in found.asked_with}
    assert len(asking) == len(RECIPES) - 1
    assert used == names("en")


@given(st.text(max_size=60), st.sampled_from(["instance", "grounded", "cot"]), st.sampled_from(["ko", "en"]))
def test_what_is_filled_in_is_never_read_as_a_template(text: str, name: str, language: str) -> None:
    marked = '{"a": {{ instruction }} {% for x in y %} {# ' + text.strip() + "!"
    filled = Prompts().text(name, language, instruction=marked, text=marked, count=2)
    assert marked in filled


def test_missing_variable_is_an_error_by_name() -> None:
    with pytest.raises(ConfigError, match="'text' is undefined") as caught:
        Prompts().text("grounded", "ko", count=3)
    assert caught.value.where.endswith("grounded.ko.jinja")


def test_korean_prompts_are_written_in_korean() -> None:
    for name in names("ko"):
        source = Prompts().named(name, "ko").source.split("#}", 1)[1]
        hangul = sum("가" <= one <= "힣" for one in source)
        latin = sum(one.isascii() and one.isalpha() for one in source)
        assert name == "answer" or hangul > latin / 2, name


@pytest.mark.parametrize(
    ("file", "source", "told"),
    [
        ("grounded.ko.jinja", "질문을 {{ count }}개 지으세요.", "lacks its variable 'text'"),
        ("grounded.ko.jinja", "{{ count }} {{ text }} {{ txet }}", "unknown variable 'txet'"),
        ("groundd.ko.jinja", "{{ text }}", "did you mean grounded.ko.jinja"),
        ("grounded.ko.jinja", "{% if %}", "no valid Jinja"),
        ("grounded.fr.jinja", "{{ count }} {{ text }}", "no recipe uses a prompt"),
    ],
)
def test_own_prompt_that_can_t_work_is_told_before_anything_is_asked(
    tmp_path: Path, file: str, source: str, told: str
) -> None:
    (tmp_path / file).write_text(source, encoding="utf-8")
    stage = recipe("grounded", recorded(tmp_path), prompts=str(tmp_path))
    [problem] = stage.problems()
    assert problem.path == "prompts"
    assert told in f"{problem.message} {problem.fix}"


def test_folder_that_is_not_there_is_told() -> None:
    assert "no folder" in problems("no/such/folder")[0].message


def test_own_prompt_takes_the_place_of_the_shipped_one_and_changes_identity(tmp_path: Path) -> None:
    teacher = recorded(tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    before = recipe("grounded", teacher).identity()
    assert recipe("grounded", teacher, prompts=str(own)).identity() == before, "the folder's name is not keyed"
    (own / "grounded.ko.jinja").write_text("{{ count }}개: {{ text }}", encoding="utf-8")
    after = recipe("grounded", teacher, prompts=str(own)).identity()
    assert after != before
    assert Prompts(str(own)).text("grounded", "ko", count=2, text="글") == "2개: 글"
    assert Prompts(str(own)).text("grounded", "en", count=2, text="x").startswith("Read the text")
    (own / "grounded.ko.jinja").write_bytes("{{ count }} {{ text }}".encode("utf-16"))
    assert "can't be read" in problems(str(own))[0].message


def test_prompt_of_another_recipe_changes_nothing(tmp_path: Path) -> None:
    teacher = recorded(tmp_path)
    (tmp_path / "cot.ko.jinja").write_text("{{ instruction }}!", encoding="utf-8")
    stage = recipe("grounded", teacher, prompts=str(tmp_path))
    assert stage.identity() == recipe("grounded", teacher).identity()


def test_command_lists_prompts_and_prints_one(tmp_path: Path) -> None:
    listed = call("prompts", "--json").json
    assert {one["name"] for one in listed} == set(Prompts().known)
    assert {one["name"] for one in api.prompts("judge")} == {"judge.ko", "judge.en"}
    assert "{{ rubric }}" in call("prompts", "judge.ko").out
    call("prompts", "jugde").is_an_error(2, "no prompt 'jugde'", "did you mean 'judge")
    (tmp_path / "cot.ko.jinja").write_text("{{ instruction }} 풀어 주세요.", encoding="utf-8")
    [own] = api.prompts("cot.ko", folder=str(tmp_path))
    assert own["own"]
    assert own["text"].endswith("풀어 주세요.")


def test_prompts_are_part_of_the_package() -> None:
    import datakit

    assert SHIPPED.is_relative_to(Path(datakit.__file__).parent)
