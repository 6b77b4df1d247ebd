"""The tables of an analysis as pandas data frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import StemdispError
from ..io.tables import TABLES
from ..model.analysis import Analysis


def to_pandas(analysis: Analysis) -> dict[str, Any]:
    """The three tables as data frames.

    Parameters
    ----------
    analysis
        Finished as far as it is; tables of stages that did not run have no rows.

    Returns
    -------
    ``columns``, ``cells`` and ``layers`` -> ``DataFrame`` with the columns of the files of the same names.  A number
    that does not exist is NaN, or ``<NA>`` where whole numbers stand.

    Raises
    ------
    StemdispError
        Where pandas cannot be imported.
    """
    try:
        import pandas  # type: ignore[import-untyped]  # has no types without the stubs
    except ImportError as error:
        raise StemdispError(f"this needs pandas, which cannot be imported ({error}); pip install pandas") from error
    return {
        name: pandas.DataFrame({head: _column(pandas, values) for head, values in make(analysis).items()})
        for name, make in TABLES.items()
    }


def _column(pandas: Any, values: Any) -> Any:
    if np.ma.isMaskedArray(values) and values.dtype.kind == "i":
        return pandas.arrays.IntegerArray(np.ma.getdata(values).astype(np.int64), np.ma.getmaskarray(values).copy())
    return values
