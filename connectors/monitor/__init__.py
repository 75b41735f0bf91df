"""The monitor: raises the system alerts that no other service can see, by wall clock."""
