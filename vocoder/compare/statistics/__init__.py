"""From listeners' answers to findings: one module a question, and what they share."""
