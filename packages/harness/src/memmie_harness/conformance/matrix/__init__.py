"""Reports of several runs beside each other: reading them, the matrix of groups and targets, and what changed between two runs."""
