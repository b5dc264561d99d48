package main

import (
	"encoding/binary"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"golang.org/x/crypto/sha3"
)

// transcript is the Fiat-Shamir state: each challenge is keccak256 of the state before and what the prover sent.
type transcript struct {
	state [32]byte
}

func keccak(parts ...[]byte) (digest [32]byte) {
	hash := sha3.NewLegacyKeccak256()
	for _, part := range parts {
		hash.Write(part)
	}
	hash.Sum(digest[:0])
	return digest
}

// rowChallenge gives x_a, the low 128 bits of keccak256(state, a), as two words.
func rowChallenge(state [32]byte, row int) (low, high uint64) {
	var index [32]byte
	binary.BigEndian.PutUint64(index[24:], uint64(row))
	digest := keccak(state[:], index[:])
	return binary.BigEndian.Uint64(digest[24:]), binary.BigEndian.Uint64(digest[16:])
}

// absorbPoint gives the challenge after a point: the state modulo r.
func (t *transcript) absorbPoint(point *bn254.G1Affine) (challenge fr.Element) {
	x, y := point.X.Bytes(), point.Y.Bytes()
	t.state = keccak(t.state[:], x[:], y[:])
	challenge.SetBytes(t.state[:])
	return challenge
}

// absorbScalars gives gamma, the high 128 bits of the state after the values.
func (t *transcript) absorbScalars(values ...*fr.Element) (gamma fr.Element) {
	parts := [][]byte{t.state[:]}
	for _, value := range values {
		b := value.Bytes()
		parts = append(parts, b[:])
	}
	t.state = keccak(parts...)
	gamma.SetBytes(t.state[:16])
	return gamma
}
