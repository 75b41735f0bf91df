"""`python -m deploy.bench`, which `make bench` runs: throughput beside the plain loop."""

from deploy.bench.throughput import main

if __name__ == "__main__":
    main()
