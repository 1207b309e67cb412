"""What every test stands on, set before anything is imported."""

import os

# As `meshwright.serve` sets it: a2a-sdk reads it at import.
os.environ.setdefault("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", "false")
