from meshwright import serve

if __name__ == "__main__":
    serve("standby", "standby.agent:AGENT")
