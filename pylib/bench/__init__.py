"""The measurements behind the numbers in the README; each prints ratios to a named baseline."""
