from typing import TYPE_CHECKING

from meshwright.process import run

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from meshwright.settings import Settings


def build(settings: "Settings") -> "Starlette":
    from meshwright.inbound.identity import load_identity
    from orchestrator.server import NAME, orchestrator_app

    return orchestrator_app(settings, load_identity(NAME, settings))


if __name__ == "__main__":
    run("orchestrator", build)
