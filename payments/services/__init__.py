"""What can be done with payments: each use case takes its locks, writes once, and leaves a trace."""
