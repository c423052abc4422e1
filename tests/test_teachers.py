"""Teachers: nothing paid is lost or asked twice, what can't pass fails at once, what may pass is tried again."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from datakit.errors import ConfigError, TeacherError
from datakit.teachers import Reply, Request, Teacher, TeacherSpec, open_teacher
from datakit.teachers.endpoint import Endpoint
from datakit.teachers.stored import StoredReplies
from tests.fakes.openai_server import Answer, openai_server

ROOT = Path(__file__).parents[1]


def ask(text: str, number: int = 0) -> Request:
    return Request((("user", text),), "instructions", "ko", number, max_tokens=16, seed=number)


def endpoint(url: str, **settings: object) -> TeacherSpec:
    return TeacherSpec.model_validate({"model": "m", "base_url": url, **settings})


def hurried(spec: TeacherSpec, folder: Path) -> StoredReplies:
    teacher = Endpoint(spec, folder)
    teacher.first_wait = 0.001
    return StoredReplies(teacher, folder / "replies", spec.identity())


def test_spec_from_text_names_teacher_and_model() -> None:
    assert TeacherSpec.model_validate("openai:gpt-x").model == "gpt-x"
    assert TeacherSpec.model_validate("local").identity() == {"use": "local", "model": "smollm2"}
    with pytest.raises(ValueError, match="base_url"):
        TeacherSpec.model_validate("http://127.0.0.1:1/v1")


def test_spec_identity_holds_no_address_no_key_no_concurrency() -> None:
    one = endpoint("http://a/v1", concurrency=1, key_env="A")
    other = endpoint("http://b/v1", concurrency=64, key_env="B", timeout=3, retries=0)
    assert one.identity() == other.identity() == {"use": "openai", "model": "m"}


def test_unknown_teacher_is_a_config_error_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no teacher 'parrot'") as caught:
        open_teacher(TeacherSpec(use="parrot"), tmp_path)
    assert "replay" in caught.value.fix


def test_endpoint_replies_come_in_the_order_of_the_requests(tmp_path: Path) -> None:
    def echo(number: int, body: dict) -> Answer:
        return Answer(text=body["messages"][0]["content"] + "!")

    with openai_server(echo) as server:
        teacher = hurried(endpoint(server.url, concurrency=5), tmp_path)
        replies = teacher.complete([ask(f"안녕 {n}") for n in range(20)])
    assert [reply.text for reply in replies] == [f"안녕 {n}!" for n in range(20)]
    assert replies[0].tokens_in == 3


def test_second_asking_costs_nothing_in_a_new_process_image(tmp_path: Path) -> None:
    with openai_server(lambda number, body: Answer(text=f"답 {number}")) as server:
        first = hurried(endpoint(server.url), tmp_path).complete([ask("가"), ask("나")])
        again = hurried(endpoint(server.url, concurrency=2), tmp_path)
        assert again.complete([ask("나"), ask("가")]) == [first[1], first[0]]
        assert (len(server.bodies), again.asked, again.reused) == (2, 0, 2)


def test_replies_before_a_failure_are_kept(tmp_path: Path) -> None:
    """The third request finds the key refused; the first two are not asked again after it is mended."""
    refuse = [True]

    def script(number: int, body: dict) -> Answer:
        return Answer(status=401) if refuse[0] and number == 2 else Answer(text="ok")

    requests = [ask(f"q{n}") for n in range(4)]
    with openai_server(script) as server:
        with pytest.raises(TeacherError, match="refuses the key"):
            hurried(endpoint(server.url, concurrency=1), tmp_path).complete(requests)
        refuse[0] = False
        teacher = hurried(endpoint(server.url, concurrency=1), tmp_path)
        assert len(teacher.complete(requests)) == 4
        assert (teacher.asked, teacher.reused) == (2, 2)


def test_torn_last_line_counts_as_never_written(tmp_path: Path) -> None:
    with openai_server(lambda number, body: Answer(text="긴 답")) as server:
        teacher = hurried(endpoint(server.url), tmp_path)
        teacher.complete([ask("가"), ask("나")])
        teacher.path.write_bytes(teacher.path.read_bytes()[:-20])
        again = hurried(endpoint(server.url), tmp_path)
        again.complete([ask("가"), ask("나")])
        assert again.asked == 1
        assert len(hurried(endpoint(server.url), tmp_path).known) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(tmp_path: Path, status: int) -> None:
    def script(number: int, body: dict) -> Answer:
        return Answer(status=status) if number < 2 else Answer(text="ok")

    with openai_server(script) as server:
        assert hurried(endpoint(server.url), tmp_path).complete([ask("q")])[0].text == "ok"
        assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, "", "refuses the key"),
        (404, "", "no model"),
        (400, "bad", "HTTP 400"),
        (429, "insufficient_quota", "quota"),
    ],
)
def test_what_can_not_pass_fails_at_once_with_the_remedy(tmp_path: Path, status: int, code: str, said: str) -> None:
    with openai_server(lambda number, body: Answer(status=status, text=code)) as server:
        with pytest.raises(TeacherError, match=said) as caught:
            hurried(endpoint(server.url), tmp_path).complete([ask("q")])
        assert len(server.bodies) == 1
        assert (caught.value.exit_code, caught.value.where) == (8, server.url)
        assert "kept" in caught.value.fix


@pytest.mark.parametrize("raw", [b'{"choices": [', b"<html>hello</html>", b"{}", b'{"choices": []}'])
def test_answers_that_are_none_are_tried_again_then_named(tmp_path: Path, raw: bytes) -> None:
    with openai_server(lambda number, body: Answer(raw=raw)) as server:
        with pytest.raises(TeacherError, match="can't be read"):
            hurried(endpoint(server.url, retries=1), tmp_path).complete([ask("q")])
        assert len(server.bodies) == 2


def test_endless_overload_ends_with_the_remedy(tmp_path: Path) -> None:
    with (
        openai_server(lambda number, body: Answer(status=429)) as server,
        pytest.raises(TeacherError, match="HTTP 429 after 3 tries"),
    ):
        hurried(endpoint(server.url, retries=2), tmp_path).complete([ask("q")])


def test_endpoint_that_is_down_is_named_with_what_to_start(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(TeacherError, match="nothing answers") as caught:
        hurried(endpoint(url), tmp_path).complete([ask("q")])
    assert caught.value.where == url
    assert "start the server" in caught.value.fix


def test_key_is_sent_but_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    with openai_server(lambda number, body: Answer(status=401 if number else 200)) as server:
        teacher = hurried(endpoint(server.url, key_env="MY_KEY"), tmp_path)
        teacher.complete([ask("a")])
        with pytest.raises(TeacherError) as caught:
            teacher.complete([ask("b")])
        assert server.keys[0] == "Bearer sk-very-secret"
    assert "secret" not in teacher.path.read_text() + str(caught.value.as_dict()) + str(endpoint("u", key_env="MY_KEY"))


def test_missing_key_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(TeacherError, match="OPENAI_API_KEY"):
        open_teacher(TeacherSpec(model="gpt-x"), tmp_path).complete([ask("q")], nothing)


def test_everything_that_shapes_a_reply_is_in_its_key(tmp_path: Path) -> None:
    base = Request((("user", "q"),), max_tokens=8)
    others = [
        Request((("system", "s"), ("user", "q")), max_tokens=8),
        Request((("user", "q"),), max_tokens=9),
        Request((("user", "q"),), max_tokens=8, temperature=0.1),
        Request((("user", "q"),), max_tokens=8, top_p=0.5),
        Request((("user", "q"),), max_tokens=8, seed=1),
        Request((("user", "q"),), max_tokens=8, stop=("x",)),
    ]
    with openai_server(lambda number, body: Answer(text=str(number))) as server:
        teacher = hurried(endpoint(server.url, concurrency=1), tmp_path)
        teacher.complete([base, base, *others])
        assert teacher.asked == 1 + len(others)
        assert server.bodies[-1]["stop"] == ["x"]


def test_schema_is_sent_as_response_format(tmp_path: Path) -> None:
    with openai_server(lambda number, body: Answer(text="{}")) as server:
        request = Request((("user", "q"),), schema=json.dumps({"type": "object"}))
        hurried(endpoint(server.url), tmp_path).complete([request])
        assert server.bodies[0]["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_replay_goes_by_when_then_number_then_default(tmp_path: Path) -> None:
    lines = [
        {"purpose": "classify", "when": "고르시오", "text": "예"},
        {"purpose": "classify", "language": "ko", "text": "첫째"},
        {"purpose": "classify", "language": "en", "text": "first"},
        {"purpose": "classify", "text": "나머지", "default": True},
    ]
    file = tmp_path / "replies.jsonl"
    file.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    teacher = open_teacher(TeacherSpec(use="replay", model=str(file)), tmp_path)

    def reply(text: str, language: str, number: int, purpose: str = "classify") -> Reply:
        return teacher.complete([Request((("user", text),), purpose, language, number)], nothing)[0]

    assert reply("하나를 고르시오.", "ko", 5).text == "예"
    assert reply("쓰시오.", "ko", 0).text == "첫째"
    assert reply("Write.", "en", 0).text == "first"
    assert reply("쓰시오.", "ko", 1).text == "나머지"
    assert reply("쓰시오.", "ko", 0, "tasks") == Reply("", "none")


def test_replay_of_a_broken_file_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    file.write_text('{"text": "fine"}\n{"txt": 1}\n')
    with pytest.raises(TeacherError) as caught:
        open_teacher(TeacherSpec(use="replay", model=str(file)), tmp_path)
    assert caught.value.where.endswith(":2")


def test_teachers_load_no_client_before_they_are_asked(tmp_path: Path) -> None:
    teacher: Teacher = open_teacher(TeacherSpec.model_validate("local"), tmp_path)
    teacher.close()
    assert not (tmp_path / "replies").exists()


@pytest.mark.slow
def test_local_teacher_answers_the_same_twice(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    replies = []
    for run in ("a", "b"):
        teacher = open_teacher(TeacherSpec.model_validate("local"), tmp_path / run)
        replies.append(teacher.complete([ask("Name two fruits.", n) for n in range(3)], nothing))
        teacher.close()
    assert replies[0] == replies[1]
    assert all(reply.text for reply in replies[0])


def nothing(place: int, reply: Reply) -> None:
    pass
