"""The prompts: Jinja files beside this module, one a name and language (`grounded.ko.jinja`), a user's own over them.

Strict: a variable that nobody gives is an error by name, and so is a file that leaves out a variable that its shipped
namesake has (a prompt for questions about a text that never shows the text). What is filled in is never read as Jinja,
so braces in a text are safe. The first comment of a file says what it is for. A prompt's version is `name.language` and
eight digits of its digest; the digests are part of a stage's identity, so a changed prompt makes another stage.

The English prompts follow the published recipes in what they ask for, in own words; the Korean ones are written for
Korean, not translated: speech levels, particles, Korean everyday matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.canon import digest_bytes
from datakit.errors import ConfigError, Problem

if TYPE_CHECKING:
    from jinja2 import Environment, Template

SHIPPED = Path(__file__).parent / "prompts"
LANGUAGES = ("ko", "en")
ABOUT = re.compile(r"\s*\{#-?\s*(.*?)\s*-?#\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt file."""

    name: str
    """As in `grounded.ko`."""
    source: str
    path: Path
    own: bool
    """Whether it is the user's, not the shipped one."""

    @property
    def version(self) -> str:
        """The name, and eight digits of the content's digest."""
        return f"{self.name}@{self.digest[:8]}"

    @property
    def digest(self) -> str:
        return digest_bytes(self.source.encode("utf-8", "surrogatepass"))

    @property
    def about(self) -> str:
        """What it is for: its first comment, on one line."""
        found = ABOUT.match(self.source)
        return " ".join(found[1].split()) if found else ""

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables it needs, sorted."""
        from jinja2 import TemplateSyntaxError, meta

        try:
            return tuple(sorted(meta.find_undeclared_variables(_environment().parse(self.source))))
        except TemplateSyntaxError as error:
            raise ConfigError(
                "a prompt is no valid Jinja", where=f"{self.path}:{error.lineno}", fix=str(error.message)
            ) from error


class Prompts:
    """The shipped prompts, with those of a folder in their place."""

    def __init__(self, folder: str = "") -> None:
        self.folder = folder
        self.known = _read(SHIPPED, own=False)
        if folder:
            self.known = {**self.known, **_read(Path(folder), own=True)}
        self._compiled: dict[str, Template] = {}

    def named(self, name: str, language: str) -> Prompt:
        """The prompt of a name in a language."""
        return self.known[f"{name}.{language}"]

    def text(self, name: str, language: str, **fields: Any) -> str:
        """A prompt with its fields filled in; a missing one is a ConfigError by name."""
        from jinja2 import UndefinedError

        prompt = self.named(name, language)
        template = self._compiled.get(prompt.name)
        if template is None:
            template = self._compiled[prompt.name] = _environment().from_string(prompt.source)
        try:
            return template.render(**fields).strip()
        except UndefinedError as error:
            fix = f"it may use {', '.join(sorted(fields))}"
            raise ConfigError(
                f"a prompt can't be filled in: {error.message}", where=str(prompt.path), fix=fix
            ) from error

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """Digest of each of some prompts, in all languages: what a stage's identity needs."""
        wanted = [f"{name}.{language}" for name in names for language in LANGUAGES]
        return {name: self.known[name].digest for name in wanted if name in self.known}


def problems(folder: str, path: str = "prompts") -> list[Problem]:
    """What is wrong with a folder of own prompts: unknown names, missing and unknown variables, broken Jinja."""
    if not folder:
        return []
    if not Path(folder).is_dir():
        return [Problem(path, f"no folder at {folder!r}", "paths are relative to the current directory")]
    shipped = _read(SHIPPED, own=False)
    found = []
    try:
        for own in _read(Path(folder), own=True).values():
            found += _against(own, shipped, path)
    except ConfigError as error:
        found.append(Problem(path, f"{error.message} ({error.where})", error.fix))
    return found


def _against(own: Prompt, shipped: dict[str, Prompt], path: str) -> list[Problem]:
    """An own prompt held against the shipped one of its name."""
    if own.name not in shipped:
        near = get_close_matches(own.name, list(shipped), n=1)
        fix = f"did you mean {near[0]}.jinja?" if near else "`datakit prompts` lists them"
        return [Problem(path, f"no recipe uses a prompt {own.path.name!r}", fix)]
    wanted, has = set(shipped[own.name].variables), set(own.variables)
    told = [
        Problem(path, f"{own.path.name} lacks its variable {name!r}", f"write {{{{ {name} }}}} where it belongs")
        for name in sorted(wanted - has)
    ]
    fix = f"it may use {', '.join(sorted(wanted))}"
    return told + [Problem(path, f"{own.path.name} has an unknown variable {n!r}", fix) for n in sorted(has - wanted)]


def _read(folder: Path, own: bool) -> dict[str, Prompt]:
    """All prompts of a folder by `name.language`."""
    found = {}
    for path in sorted(folder.glob("*.jinja")):
        try:
            source = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("a prompt can't be read", where=str(path), fix="save it as UTF-8") from error
        found[path.stem] = Prompt(path.stem, source, path, own)
    return found


@cache
def _environment() -> Environment:
    """Strict and sandboxed: a prompt may only say what it is given."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
