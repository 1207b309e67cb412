from meshwright.serve import serve
from standby.agent import AGENT

if __name__ == "__main__":
    serve(AGENT)
