"""make bench: Postern's figures, beside Debian's Postfix in the same run.  doc/benchmarks.md says how to read them."""
