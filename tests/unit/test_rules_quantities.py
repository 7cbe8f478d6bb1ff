"""Kubernetes quantities and integers as manifests write them."""

import pytest

from pylib.validate.rules.quantities import gib, number, whole


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("16Gi", 16 * 2**30),
        ("1.5Gi", 1.5 * 2**30),
        ("1Ti", 2**40),
        ("512Ki", 2**19),
        ("2G", 2e9),
        ("3M", 3e6),
        ("4k", 4000),
        ("500m", 0.5),
        ("1e3", 1000),
        ("1E", 1e18),
        ("-2", -2),
        (".5", 0.5),
        (8, 8),
        (0.5, 0.5),
    ],
)
def test_quantity_as_a_number(quantity: object, value: float) -> None:
    assert number(quantity) == pytest.approx(value)


@pytest.mark.parametrize("quantity", ["16GiB", "16 Gi", "1K", "Gi", "", None, True, [], "1e"])
def test_what_is_no_quantity(quantity: object) -> None:
    assert number(quantity) is None


def test_bytes_in_gib() -> None:
    assert gib("1024Mi") == 1
    assert gib("much") is None


@pytest.mark.parametrize(
    ("value", "integer"),
    [(3, 3), ("4", 4), (" -3 ", -3), (True, None), ("5.0", None), (3.0, None), (None, None)],
)
def test_whole_numbers(value: object, integer: int | None) -> None:
    assert whole(value) == integer


def test_absurdly_long_numbers_are_no_integers() -> None:
    assert whole("9" * 5000) is None
