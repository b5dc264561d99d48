"""The audit of a project by somebody who trusts nobody: chain and IPFS in, findings out.

Nothing of a service, a database or the environment is read. `run.audit` makes every check; `findings` says what one is.
"""
