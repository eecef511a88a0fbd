import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from behemoth.codec import dismantle
from behemoth.errors import BadFrame, BadRequest
from tests.codec.strategies import times


def objects(*values):
    return np.array([*values, None], dtype=object)[:-1]


COLUMNS = {
    "decimal": (objects(Decimal(1), Decimal(2)), "Decimal", "use float64"),
    "decimal NaN": (objects("a", Decimal("NaN")), "Decimal", "use float64"),
    "mixed": (objects("a", 1), "int", "one type"),
    "numbers as objects": (objects(1.5, 2.5), "float", "one type"),
    "dates": (objects(dt.date(2020, 1, 1), None), "date", "one type"),
    "lists": (objects([1], [2]), "list", "one type"),
    "NaT among texts": (objects("a", pd.NaT), "NaTType", "one type"),
    "bytes": (objects(b"a", b"b"), "bytes", "decode it to text"),
    "complex": (np.array([1j, 2]), "complex128", "real and imaginary part"),
    "longdouble": (np.array([1, 2], dtype=np.longdouble), "float128", "use float64"),
    "Int64": (pd.array([1, None], dtype="Int64"), "Int64", "float64"),
    "Float64": (pd.array([1, None], dtype="Float64"), "Float64", "astype('float64')"),
    "boolean": (pd.array([True, None], dtype="boolean"), "boolean", "astype('bool')"),
    "string": (pd.array(["a", None], dtype="string"), "string", "astype(object)"),
    "period": (pd.period_range("2020", periods=2, freq="D"), "period", "dt.to_timestamp()"),
    "interval": (pd.interval_range(0, 2), "interval", "two columns"),
    "sparse": (pd.arrays.SparseArray([0, 1]), "Sparse", "sparse.to_dense()"),
    "number categories": (pd.Categorical([1, 2]), "categories that are not text", "astype"),
    "interval categories": (pd.cut([1, 2], 2), "categories that are not text", "astype"),
    "far future": (np.array(["2020", "3000"], dtype="M8[s]"), "beyond", "1677 to 2262"),
    "long span": (np.array([1, 2**62], dtype="m8[s]"), "beyond", "nanoseconds"),
    "unnamed zone": (
        pd.DatetimeIndex(["2020", "2021"]).tz_localize(dt.timezone(dt.timedelta(hours=1), "Oslo")),
        "Oslo",
        "dt.tz_convert('UTC')",
    ),
    "misnamed zone": (
        pd.DatetimeIndex(["2020", "2021"]).tz_localize(dt.timezone(dt.timedelta(hours=1), "EST")),
        "EST",
        "dt.tz_convert('UTC')",
    ),
}


@pytest.mark.parametrize(("values", "found", "way_out"), COLUMNS.values(), ids=COLUMNS.keys())
def test_what_would_not_come_back_is_refused(values, found, way_out):
    """The message names the column, what was found and the way out."""
    frame = pd.DataFrame({"fine": [1.0, 2.0], "odd one": values})
    with pytest.raises(BadFrame) as caught:
        dismantle(frame.set_axis(times(2)), "time")
    for part in ("'odd one'", found, way_out):
        assert part in str(caught.value)


NAMES = {
    "number": ([1.0, "b"], "1.0", "rename it to '1.0'"),
    "None": ([None, "b"], "None", "rename"),
    "duplicate": (["a", "a"], "'a'", "rename one of them"),
    "NUL": (["a\0", "b"], r"'a\x00'", "rename it"),
    "surrogate": (["\ud800", "b"], r"'\ud800'", "rename it"),
    "levels": (pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]), "one level", "flatten"),
}


@pytest.mark.parametrize(("names", "found", "way_out"), NAMES.values(), ids=NAMES.keys())
def test_odd_names_of_columns_are_refused(names, found, way_out):
    """Column names are unique texts of one level."""
    names = names if isinstance(names, pd.MultiIndex) else pd.Index(names, dtype=object)
    frame = pd.DataFrame(np.ones((2, 2)), index=times(2), columns=names)
    with pytest.raises(BadFrame) as caught:
        dismantle(frame, "time")
    assert found in str(caught.value)
    assert way_out in str(caught.value)


INDEXES = {
    "NaT": (pd.DatetimeIndex(["2020", pd.NaT]), "NaT", "drop those rows"),
    "numbers": (pd.Index([1, 2]), "int64", "pandas.to_datetime"),
    "rows": (pd.RangeIndex(2), "RangeIndex", "pandas.to_datetime"),
    "text": (pd.Index(["2020", "2021"]), "Index of", "pandas.to_datetime"),
    "period": (pd.period_range("2020", periods=2), "PeriodIndex", "pandas.to_datetime"),
    "levels": (
        pd.MultiIndex.from_product([["a"], times(2)]),
        "MultiIndex",
        "pandas.to_datetime",
    ),
    "far future": (
        pd.DatetimeIndex(np.array(["2020", "3000"], dtype="M8[s]")),
        "beyond",
        "1677 to 2262",
    ),
    "another name": (times(2).rename("stamp"), "'stamp'", "rename_axis('time')"),
}


@pytest.mark.parametrize(("index", "found", "way_out"), INDEXES.values(), ids=INDEXES.keys())
def test_odd_indexes_are_refused(index, found, way_out):
    """The index is one level of datetimes, none missing, called as the table says."""
    with pytest.raises(BadFrame) as caught:
        dismantle(pd.DataFrame({"x": [1.0, 2.0]}, index=index), "time")
    for part in ("'time'", found, way_out):
        assert part in str(caught.value)


def test_a_time_column_beside_a_telling_index_is_refused():
    """Where the times are a column, an index with content would be lost."""
    frame = pd.DataFrame({"time": times(2), "x": [1.0, 2.0]}, index=["a", "b"])
    with pytest.raises(BadFrame, match="reset_index"):
        dismantle(frame, "time")


def test_a_time_column_of_another_type_is_refused():
    """Times are datetimes, not text."""
    frame = pd.DataFrame({"time": ["2020", "2021"]})
    with pytest.raises(BadFrame, match=r"'time' is .*pandas\.to_datetime"):
        dismantle(frame, "time")


def test_what_is_no_frame_is_refused():
    """Ticks are a DataFrame, and the refusal is a bad request."""
    with pytest.raises(BadRequest, match="DataFrame, not Series"):
        dismantle(pd.Series([1.0], index=times(1)), "time")
