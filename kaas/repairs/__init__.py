"""A sick node is healed by the mildest means that works: signals, ladder, budgets, freeze. See docs/repairs.md."""
