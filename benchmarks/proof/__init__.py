"""What a proven round costs: gas of its verification, seconds and memory of its proof.

    python -m benchmarks.proof [--quick] [--only proving|gas] [--json FILE]

`proving` measures committing, proving and checking openings on this machine; each part in the modules of that name.
"""
