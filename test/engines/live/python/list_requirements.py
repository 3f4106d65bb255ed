"""Prints what an installed distribution requires on this machine, one requirement a line, without extras and without the distributions named.

Usage: list_requirements.py DISTRIBUTION [LEFT_OUT ...]
"""

import sys
from importlib.metadata import requires

from pip._vendor.packaging.requirements import Requirement

distribution, left_out = sys.argv[1], set(sys.argv[2:])
for line in requires(distribution) or []:
    requirement = Requirement(line)
    if requirement.name in left_out or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
        continue
    requirement.marker = None
    print(requirement)
