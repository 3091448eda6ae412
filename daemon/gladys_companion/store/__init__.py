"""What is kept: one SQLite file, written by one thread, readable by anyone while the program runs."""
