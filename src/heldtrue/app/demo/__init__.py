"""`heldtrue demo`: one sample company through everything that exists, each step with its proof."""
