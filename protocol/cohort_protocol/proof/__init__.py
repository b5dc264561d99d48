"""Proofs of rounds: KZG commitments over BN254 and the argument of `docs/protocol/proof.md`.

`curve` (points and encodings), `srs` and `ptau` (structured reference strings), `commitment` (vectors), `statement` and
`transcript` (what is proved, and the challenges), `prover`, `verifier` (the reference of the contract's). Nothing is
imported here: only who proves or checks pays for loading the curve library.
"""
