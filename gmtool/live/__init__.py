"""Pages that move by themselves: what changes in the inventory reaches the open pages that show it."""
