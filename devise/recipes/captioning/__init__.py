"""The parts of the recipe `captions`: who is compared, what is measured, what is drawn."""
