"""One file for each way out. Which ones are used, and in which order, is the operator's choice."""
