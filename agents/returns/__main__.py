from meshwright import serve

if __name__ == "__main__":
    serve("returns", "returns.agent:AGENT")
