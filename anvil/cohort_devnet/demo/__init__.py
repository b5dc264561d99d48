"""`cohort demo`: a whole market on one machine, from the owner's deposit to the trainers' claims.

settings   what the command line asked for, and what follows from it (roles, keys, prices)
market     starts the parts and takes a project from creation to the last claim
watch      follows the rounds while they run and shows them
drama      kills and corrupts things in the middle (`--drama`)
baselines  the same training without a market, for comparison
money      re-adds all money from the chain alone
collect    makes the report from chain, IPFS and what was watched
report     the report's fields (`report.json`)
pictures, charts, page, tables   the report as rounds.png, report.html and text
"""
