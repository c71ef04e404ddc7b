"""From a training step to a program for the core."""
