"""A recipe as commented TOML: every value with its meaning, unit and range."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ..recipe import Recipe

LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(field: FieldInfo) -> str:
    """Range or choices of a field in words; empty where there are none."""
    choices = [str(choice) for part in (field.annotation, *get_args(field.annotation)) for choice in _choices(part)]
    if choices:
        return " | ".join(choices)
    limits = {name: getattr(limit, name) for limit in field.metadata for name in LIMITS if hasattr(limit, name)}
    return ", ".join(f"{LIMITS[name]} {_number(value)}" for name, value in limits.items())


def _choices(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def describe(field: FieldInfo) -> str:
    """One line on a field: meaning, then unit and range or choices in brackets."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    details = "; ".join(part for part in (str(extra.get("unit") or ""), _range(field)) if part)
    return f"{field.description or ''} [{details}]" if details else str(field.description or "")


def _sentence(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def _table(section: BaseModel) -> Any:
    """A section with a comment above every value; values that are unset stand as comments."""
    import tomlkit

    table = tomlkit.table()
    table.add(tomlkit.comment(_sentence(type(section))))
    values = section.model_dump(mode="json")
    fields = type(section).model_fields
    tables = {name for name in fields if any(isinstance(entry, BaseModel) for entry in _items(getattr(section, name)))}
    # What follows a table inside a section would be read as a part of it: tables go last.
    for name, field in sorted(fields.items(), key=lambda item: item[0] in tables):
        table.add(tomlkit.comment(describe(field)))
        if values[name] is None:
            table.add(tomlkit.comment(f"{name} ="))
        elif name in tables:
            table.add(name, _entries(getattr(section, name)))
        else:
            table.add(name, _value(values[name]))
    return table


def _value(value: Any) -> Any:
    """A value as it stands in one line."""
    import tomlkit

    if not isinstance(value, dict):
        return value
    inline = tomlkit.inline_table()
    inline.update(value)
    return inline


def _items(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else ()


def _entries(entries: tuple[BaseModel, ...]) -> Any:
    """An array of tables: columns of a structure, or what belongs to single images."""
    import tomlkit

    array = tomlkit.aot()
    for entry in entries:
        table = tomlkit.table()
        for name, value in entry.model_dump(mode="json", exclude_none=True).items():
            table.add(name, _value(value))
        array.append(table)
    return array


def to_toml(recipe: Recipe) -> str:
    """The recipe as TOML that :func:`stemdisp.recipe.load` reads back to an equal recipe."""
    import tomlkit

    document = tomlkit.document()
    document.add(
        tomlkit.comment(f"stemdisp recipe {recipe.digest()}: {recipe.material.name} along {recipe.material.zone}")
    )
    for name in type(recipe).model_fields:
        value = getattr(recipe, name)
        if value is None:
            continue
        if isinstance(value, BaseModel):
            document.add(tomlkit.nl())
            document.add(name, _table(value))
        elif isinstance(value, tuple):
            if value:
                document.add(tomlkit.nl())
                document.add(name, _entries(value))
        else:
            document.add(name, value)
    return tomlkit.dumps(document)
