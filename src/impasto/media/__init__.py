"""Everything that reads or writes a file that people look at or listen to; every writer takes the recipe."""
