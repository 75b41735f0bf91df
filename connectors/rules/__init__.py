"""Rule documents: loading, checking, selecting. Pure."""
