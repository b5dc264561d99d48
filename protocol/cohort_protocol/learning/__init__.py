"""Model families and local training. `architecture` and `data` work without torch; the other modules import it."""
