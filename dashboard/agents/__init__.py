"""Drawing agents, their graphs, their interrupts, and commands to them."""
