"""What joins the parts: the wire formats, the alert life cycle, rules, and one package for each service."""
