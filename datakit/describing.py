"""Stages and plugins in words: what `datakit stages` and `datakit plugins` print, and the README's tables."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from datakit.registry import stage_class
from datakit.stage import fields_of


def describe_stage(use: str) -> dict[str, Any]:
    """What a stage does, what it takes, and every setting with type, default and help."""
    cls = stage_class(use)
    return {
        "name": use,
        "help": (cls.__doc__ or "").strip().split("\n")[0],
        "takes": sorted(cls.takes),
        "rules": list(cls.rules),
        "settings": _settings(fields_of(cls)),
    }


def describe_plugin(group: str, entry: EntryPoint, *, settings: bool = False) -> dict[str, Any]:
    """Where a plugin lies and what it is, with its settings if asked for; a broken one with its error."""
    found: dict[str, Any] = {"kind": group, "name": entry.name, "class": entry.value, "help": "", "error": ""}
    try:
        loaded = entry.load()
        found["help"] = (loaded.__doc__ or "").strip().split("\n")[0]
        if settings:
            fields = fields_of(loaded) if group == "stage" else getattr(_config_of(loaded), "model_fields", {})
            found["settings"] = _settings(fields)
    except Exception as error:  # a stranger's plugin may fail in any way; it is listed, not hidden
        found["error"] = f"{type(error).__name__}: {error}"
    return found


def _config_of(loaded: Any) -> Any:
    """The settings of a trainer; a teacher's are those of every teacher."""
    return getattr(loaded, "Config", None)


def _settings(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every field with type, default and help."""
    return [
        {
            "name": name,
            "type": _type_name(info.annotation),
            "default": None if info.is_required() else info.get_default(call_default_factory=True),
            "required": info.is_required(),
            "help": info.description or "",
        }
        for name, info in fields.items()
    ]


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
