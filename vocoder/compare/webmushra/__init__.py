"""The formats of webMUSHRA, so that a laboratory's tests and scripts go on working."""
