"""Evidence from outside: signed by build pipelines, read strictly, logged, and its findings tracked to their end."""
