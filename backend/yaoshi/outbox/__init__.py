"""Messages that were promised: kept in the transaction that promised them, claimed, settled. Knows no words."""
