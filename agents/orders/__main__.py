from meshwright.serve import serve
from orders.agent import AGENT

if __name__ == "__main__":
    serve(AGENT)
