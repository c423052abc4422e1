"""Stages and plugins in words: what `datakit stages` and `datakit plugins` print, and the README's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from datakit.registry import stage_class
from datakit.stage import fields_of


def describe_stage(use: str) -> dict[str, Any]:
    """What a stage does, what it takes, and every setting with type, default and help."""
    cls = stage_class(use)
    settings = [
        {
            "name": name,
            "type": _type_name(info.annotation),
            "default": None if info.is_required() else info.get_default(call_default_factory=True),
            "required": info.is_required(),
            "help": info.description or "",
        }
        for name, info in _with_inner(fields_of(cls))
    ]
    return {
        "name": use,
        "help": (cls.__doc__ or "").strip().split("\n")[0],
        "takes": sorted(cls.takes),
        "rules": list(cls.rules),
        "settings": settings,
    }


def describe_plugin(group: str, entry: EntryPoint) -> dict[str, Any]:
    """Where a plugin lies and what it is; a broken one with its error."""
    found: dict[str, Any] = {"kind": group, "name": entry.name, "class": entry.value, "help": "", "error": ""}
    try:
        found["help"] = (entry.load().__doc__ or "").strip().split("\n")[0]
    except Exception as error:  # a stranger's plugin may fail in any way; it is listed, not hidden
        found["error"] = f"{type(error).__name__}: {error}"
    return found


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
