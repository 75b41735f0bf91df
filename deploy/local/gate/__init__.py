"""The broker beyond loopback: its certificate, a password and an access list for each gateway, and who was refused."""
