"""How the model that comes with devise is made: its names, its training from captions, and its figures."""
