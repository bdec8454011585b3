"""Attestations: dated documents behind what no machine can prove, and the operator's words about failures."""
