from accounts.agent import AGENT
from meshwright.serve import serve

if __name__ == "__main__":
    serve(AGENT)
