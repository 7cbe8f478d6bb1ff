"""Rules over rendered manifests: importing this package fills the table of rules.

A module of rules is listed here once; nothing else knows it.
"""

from __future__ import annotations

from pylib.validate.rules.registry import RULES, Rule

__all__ = ["RULES", "Rule"]
