"""The notifier: alert events become notifications, each delivered at least once with a stable id."""
