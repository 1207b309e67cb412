"""Where the files that come with the mesh lie: cards and policies, in a checkout and in an installed wheel alike."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from meshwright.settings import SettingsError


def shipped(folder: str, name: str) -> Path:
    """The path of `folder/name`: under the working directory, else in this installation.

    Raises SettingsError if there is none; then it is a file that the caller must write or name.
    """
    spec = find_spec(folder)
    places = [Path.cwd() / folder, *map(Path, (spec.submodule_search_locations or ()) if spec else ())]
    for place in places:
        if (place / name).is_file():
            return place / name
    raise SettingsError(f"there is no {folder}/{name}, neither here nor in this installation")
