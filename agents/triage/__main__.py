from meshwright import serve

if __name__ == "__main__":
    serve("triage", "triage.agent:AGENT")
