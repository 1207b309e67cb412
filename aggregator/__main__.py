from meshwright import serve

if __name__ == "__main__":
    serve("aggregator", "aggregator.agent:AGENT")
