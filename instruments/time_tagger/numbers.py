"""Checks of numbers that users give."""

from __future__ import annotations

from typing import Any

import numpy as np


def integer(name: str, value: Any, lowest: int | None = None) -> int:
    """Check a whole number, which may come as a float such as 1e12.

    Args:
        name: What it is, for the message.
        value: The number.
        lowest: Smallest number that is allowed; None for no limit.

    Raises:
        TypeError: No number.
        ValueError: Not whole, or below `lowest`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is {value!r}, a {type(value).__name__}; give a whole number")
    if value != value // 1:
        raise ValueError(f"{name} = {value} is not whole; give a whole number")
    if lowest is not None and value < lowest:
        raise ValueError(f"{name} = {int(value)} is too small; choose {lowest} or more")
    return int(value)
