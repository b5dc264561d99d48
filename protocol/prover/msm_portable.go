//go:build !cgo || !amd64

package main

import "github.com/consensys/gnark-crypto/ecc/bn254"

// newVectorized: msm.c needs a C compiler and a processor of this kind.
func newVectorized([]bn254.G1Affine) multiplier { return nil }
