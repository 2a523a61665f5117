"""Exit codes of all commands."""

DONE = 0
BUG = 1  # a traceback
BAD = 2  # bad use, bad input, or findings
INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT
BROKEN_PIPE = 141  # likewise SIGPIPE
