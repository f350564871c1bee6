"""What code that was written for TimeTaggerRPC imports instead: only the lines that import it change.

    from instrumentserver.time_tagger_rpc import client
    from instrumentserver import Proxy

``from instrumentserver import time_tagger_rpc as client`` does the same.
"""

from . import client
from .client import createProxy

__all__ = ["client", "createProxy"]
