"""Kubernetes quantities as numbers: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/."""

from __future__ import annotations

import re

_QUANTITY = re.compile(r"(?P<number>[+-]?(\d+\.?\d*|\.\d+))(?P<unit>[eE][+-]?\d+|[a-zA-Z]*)")
_UNITS = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    **{unit: 1000.0**power for power, unit in enumerate("MGTPE", start=2)},
    **{f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", start=1)},
}
GIB = 1024.0**3


def number(quantity: object) -> float | None:
    """``"16Gi"`` in bytes, ``"500m"`` in cores; ``None`` for what is no quantity."""
    if isinstance(quantity, bool) or not isinstance(quantity, int | float | str):
        return None
    match = _QUANTITY.fullmatch(str(quantity).strip())
    if match is None:
        return None
    unit = match["unit"]
    if unit[:1] in ("e", "E") and unit[1:]:
        return float(match["number"] + unit)
    return float(match["number"]) * _UNITS[unit] if unit in _UNITS else None


def gib(quantity: object) -> float | None:
    """A quantity of bytes in GiB, ``None`` for what is no quantity."""
    found = number(quantity)
    return None if found is None else found / GIB


def whole(value: object) -> int | None:
    """An integer, also where it is written as text; ``None`` for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else None
