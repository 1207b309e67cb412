from meshwright import serve

if __name__ == "__main__":
    serve("advisor", "advisor.agent:AGENT")
