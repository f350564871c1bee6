"""Meta instruments: their parameters act on other instruments.

Each is an ordinary `instrumentserver.Instrument`, and the README beside this
file tells how to write another.
"""

from meta.gates import Gates

__all__ = ["Gates"]
