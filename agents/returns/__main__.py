from meshwright.serve import serve
from returns.agent import AGENT

if __name__ == "__main__":
    serve(AGENT)
