"""Between Gladys and Gladys Plus: what passes through the companion unchanged, and what is taken on the way."""
