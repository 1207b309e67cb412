from meshwright import serve

if __name__ == "__main__":
    serve("orders", "orders.agent:AGENT")
