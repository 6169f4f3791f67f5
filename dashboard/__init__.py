"""What the pages draw with, and their only way to the services."""
