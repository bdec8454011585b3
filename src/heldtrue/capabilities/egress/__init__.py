"""The one way out of the sandbox: hosts that a transform may call, and credentials that its code never sees."""
