"""The whole mesh in one process, or as real processes, faults on the wire, and a model that says what it is told: shipped fakes.

    mesh = InProcess({"http://orders": agent_app(...), ...})
    http = mesh.client()

Only the transport is swapped; clients, servers, tokens, deadlines and breakers are the real ones.
"""

from meshwright.testing.clock import ManualClock
from meshwright.testing.inprocess import InProcess, lifespan_of
from meshwright.testing.keyring import Keyring
from meshwright.testing.model import ScriptedModel
from meshwright.testing.policies import policy_in
from meshwright.testing.processes import MeshDidNotStart, RunningMesh, running_mesh
from meshwright.testing.proxy import WELL, Fault, FaultProxy
from meshwright.testing.serving import serving

__all__ = [
    "WELL",
    "Fault",
    "FaultProxy",
    "InProcess",
    "Keyring",
    "ManualClock",
    "MeshDidNotStart",
    "RunningMesh",
    "ScriptedModel",
    "lifespan_of",
    "policy_in",
    "running_mesh",
    "serving",
]
