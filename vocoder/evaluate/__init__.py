"""Systems against references: pairing files, measuring them in processes, and what follows."""
