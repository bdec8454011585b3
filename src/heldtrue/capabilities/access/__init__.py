"""API keys: who may come in, as whom, for what, and until when."""
