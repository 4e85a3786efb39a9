"""How good a model is: likelihood, and the distance of its samples from real pictures."""
