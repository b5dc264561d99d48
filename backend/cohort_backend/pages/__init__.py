"""The service in a browser: projects, rounds, verdicts and pay as HTML that is made here and loads nothing."""
