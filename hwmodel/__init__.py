"""What a training step costs: operations, traffic, memory, cycles, energy, area."""
