"""`python -m meshwright.cli` is `meshwright`: the command, or one line where what it stands on is not installed."""

import sys


def main() -> None:
    """The console script."""
    try:
        from meshwright.cli.app import main as command
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(f"error: the command line needs {error.name}: pip install 'meshwright[mesh]'")
    command()


if __name__ == "__main__":
    main()
