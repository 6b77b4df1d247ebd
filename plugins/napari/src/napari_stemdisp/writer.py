"""Layers as files: the table of the columns, and the whole result folder as ``stemdisp run`` leaves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stemdisp import Analysis, StemdispError
from stemdisp.batch import result
from stemdisp.io.tables import write_columns_csv

LayerData = tuple[Any, dict[str, Any], str]


def _known(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """What this plugin wrote into the metadata of a layer."""
    found = meta.get("metadata", {}).get("stemdisp", {})
    return found if isinstance(found, Mapping) else {}


def _analysis(metas: Iterable[Mapping[str, Any]]) -> Analysis:
    """The analysis that layers belong to: that of results, which is the newest, before that of images as opened.

    Raises StemdispError where there is none, or more than one.
    """
    known = [one for one in map(_known, metas) if isinstance(one.get("analysis"), Analysis)]
    results = [one for one in known if one.get("role") not in ("signal", "frames")]
    found: list[Analysis] = []
    for one in results or known:
        if not any(one["analysis"] is other for other in found):
            found.append(one["analysis"])
    if not found:
        raise StemdispError("these layers belong to no analysis of stemdisp; run the steps of the panel first")
    if len(found) > 1:
        names = ", ".join(dict.fromkeys(one.micrograph.name for one in found))
        raise StemdispError(f"these layers belong to {len(found)} analyses ({names}); select the layers of one image")
    return found[0]


def write_columns(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write columns.csv of the analysis that a Points layer with the role "columns" belongs to.

    Raises StemdispError for any other layer, and where the file cannot be written.
    """
    if _known(meta).get("role") != "columns":
        name = meta.get("name", "this layer")
        raise StemdispError(f"{name} holds no columns of stemdisp; save it as napari's points")
    try:
        write_columns_csv(_analysis([meta]), Path(path))
    except OSError as error:
        raise StemdispError(f"{path} cannot be written: {error.strerror or error}") from error
    return [path]


def write_result(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write the result folder of the analysis that layers belong to: tables, recipe, figures, report, record.

    Raises StemdispError where they belong to none or to several, and where something stands in the way.
    """
    analysis = _analysis(meta for _, meta, _ in layers)
    folder = Path(path)
    try:
        result.write_result(analysis, folder)
    except FileExistsError as error:
        raise StemdispError(f"{folder} exists; choose another name, or delete it first") from error
    return [str(folder)]
