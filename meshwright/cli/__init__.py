"""The command line: `meshwright up`, `ask`, `agents`, `runs`, `reviews`, `demo`.

The only room that knows typer and rich.
"""
