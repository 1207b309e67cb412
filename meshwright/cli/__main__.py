"""`python -m meshwright.cli` is `meshwright`."""

from meshwright.cli.app import main

if __name__ == "__main__":
    main()
