"""Helm's own way to lay one map of values over another: maps merge, lists replace, null stays.

Null deletes, but only when helm reads the file: then the chart's own default goes too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge_values(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid on ``base`` by Helm's rules; neither is changed.

    Source: https://helm.sh/docs/chart_template_guide/values_files/#deleting-a-default-key.
    """
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge_values(merged[key], value)
        else:
            merged[key] = value
    return merged
