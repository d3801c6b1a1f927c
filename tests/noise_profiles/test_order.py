"""Quantiles are those of NumPy: limits of detectors were found with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from noise_profiles import order

LEVELS = st.floats(-200.0, 100.0)


@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 30)), elements=LEVELS),
    st.floats(0.0, 1.0),
)
def test_quantiles_of_rows_are_those_that_numpy_finds(rows, share):
    (found,) = order.row_quantiles(rows, share)
    assert found == pytest.approx(np.quantile(rows, share, axis=1), abs=1e-9)
    for row, value in zip(rows, found, strict=True):
        assert order.quantiles(row, share) == [value]
