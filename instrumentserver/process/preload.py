"""What the fork server imports before its first fork, so that a new server finds it in memory already."""

from __future__ import annotations

import gc
import os

import qcodes.dataset
import qcodes.instrument

from . import main

__all__ = ["main", "qcodes"]

if hasattr(os, "setpgrp"):
    # Out of the reach of Ctrl-C; and a Jupyter kernel that shuts down waits for the children in its process group.
    os.setpgrp()

# What has been imported stays; the collector would only copy its pages into every server.
gc.collect()
gc.freeze()
