"""What is computed: formats, networks, schemes, one training step. Imports nothing of ours."""
