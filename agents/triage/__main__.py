from meshwright.serve import serve
from triage.agent import AGENT

if __name__ == "__main__":
    serve(AGENT)
