"""The bridge between instruments and data sockets: `publish` shows parameters, `control` takes commands."""

from __future__ import annotations

from .controlling import Control, control
from .forms import plain
from .publication import Publication, publish

__all__ = ["Control", "Publication", "control", "plain", "publish"]
