"""The trust centre: pages and JSON of one source, rendered from verdicts and never from hand-written status."""
