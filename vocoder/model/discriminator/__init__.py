"""Networks that tell recordings from synthesis, for adversarial training."""
