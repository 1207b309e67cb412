from typing import TYPE_CHECKING

from meshwright.process import run

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from meshwright.settings import Settings


def build(settings: "Settings") -> "Starlette":
    from console.app import console_app

    return console_app(settings)


if __name__ == "__main__":
    run("console", build, card=False)
