"""Stages and plugins in words: what `datakit stages` and `datakit plugins` print, and the README's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from datakit.errors import ConfigError
from datakit.registry import stage_class, unknown
from datakit.stage import Stage, fields_of


def describe_stage(use: str) -> dict[str, Any]:
    """What a stage does, what it takes, and every setting with type, default and help.

    A stage with variants (synthesize: recipes) lists them; `synthesize.grounded` describes one.
    """
    cls = _class_of(use)
    return {
        "name": use,
        "help": _help(cls),
        "takes": sorted(cls.takes),
        "rules": list(cls.rules),
        "settings": _settings(fields_of(cls)),
        "variants": [
            {"name": name, "takes": sorted(found.takes), "help": _help(found), "settings": list(_own(found, cls))}
            for name, found in cls.variants().items()
        ],
    }


def _class_of(use: str) -> type[Stage]:
    """The class of a stage, or of one of its variants: `synthesize.grounded`."""
    name, _, variant = use.partition(".") if ".py:" not in use else (use, "", "")
    cls = stage_class(name)
    if not variant:
        return cls
    known = cls.variants()
    if variant not in known:
        raise ConfigError((unknown(f"{name} has no {variant!r}", variant, list(known), use),))
    return known[variant]


def _own(variant: type[Stage], cls: type[Stage]) -> list[str]:
    """The settings that a variant has beside those of its stage."""
    return [name for name in fields_of(variant) if name not in fields_of(cls)]


def _help(cls: type[Stage]) -> str:
    return (cls.__doc__ or "").strip().split("\n")[0]


def describe_prompts(name: str | None, folder: str) -> list[dict[str, Any]]:
    """The prompts of the recipes, or those of one name in each language, with variables and text."""
    from datakit.stages.synthesize.prompting import Prompts, problems

    if found := problems(folder, "--folder"):
        raise ConfigError(found)
    known = Prompts(folder).known
    chosen = [one for own, one in sorted(known.items()) if name in (None, own, own.rpartition(".")[0])]
    if not chosen:
        names = sorted({*known, *(own.rpartition(".")[0] for own in known)})
        raise ConfigError((unknown(f"no prompt {name!r}", str(name), names),))
    return [
        {
            "name": one.name,
            "variables": list(one.variables),
            "about": one.about,
            "own": one.own,
            "path": str(one.path),
            "version": one.version,
            "text": one.source,
        }
        for one in chosen
    ]


def describe_plugin(group: str, entry: EntryPoint, *, settings: bool = False) -> dict[str, Any]:
    """Where a plugin lies and what it is, with its settings if asked for; a broken one with its error."""
    found: dict[str, Any] = {"kind": group, "name": entry.name, "class": entry.value, "help": "", "error": ""}
    try:
        loaded = entry.load()
        found["help"] = (loaded.__doc__ or "").strip().split("\n")[0]
        if settings:
            found["settings"] = _settings(_fields_of(group, loaded))
    except Exception as error:  # a stranger's plugin may fail in any way; it is listed, not hidden
        found["error"] = f"{type(error).__name__}: {error}"
    return found


def _fields_of(group: str, loaded: Any) -> Mapping[str, Any]:
    """The fields of a stage, of a trainer's settings, or of the settings that every teacher has."""
    if group == "stage":
        return fields_of(loaded)
    from datakit.teachers import TeacherSpec

    return dict((TeacherSpec if group == "teacher" else loaded.Config).model_fields)


def _settings(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every field with type, default and help; those of values inside values too."""
    return [
        {
            "name": name,
            "type": _type_name(info.annotation),
            "default": None if info.is_required() else info.get_default(call_default_factory=True),
            "required": info.is_required(),
            "help": info.description or "",
        }
        for name, info in _with_inner(fields)
    ]


def _with_inner(fields: Mapping[str, FieldInfo]) -> Iterator[tuple[str, FieldInfo]]:
    """Settings; behind one that is a mapping of its own (a teacher, a budget) its settings, named as `--set` does."""
    for name, info in fields.items():
        yield name, info
        one_of = get_args(info.annotation) if get_origin(info.annotation) in (Union, UnionType) else [info.annotation]
        for part in one_of:
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from ((f"{name}.{inner}", found) for inner, found in part.model_fields.items())


def _type_name(annotation: Any) -> str:
    """A type as a person writes it: bounds left out, unions and choices with a bar."""
    if get_origin(annotation) is Annotated:
        return _type_name(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, get_args(annotation)))
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(_type_name(part) for part in get_args(annotation))
    if inner := [_type_name(part) for part in get_args(annotation) if part is not Ellipsis]:
        return f"{get_origin(annotation).__name__}[{', '.join(inner)}]"
    return "null" if annotation is NoneType else getattr(annotation, "__name__", str(annotation))
