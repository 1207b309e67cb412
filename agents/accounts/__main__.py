from meshwright import serve

if __name__ == "__main__":
    serve("accounts", "accounts.agent:AGENT")
