"""The parts of a zero-shot trial: what it runs on, which rules compete, and how they are measured."""
