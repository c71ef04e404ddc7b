"""A training step as stages of the core: cycles in closed form, for one array or many."""
