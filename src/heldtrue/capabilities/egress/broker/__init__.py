"""The broker's own part: copied where its user can read, with the little that it needs of the rest."""
