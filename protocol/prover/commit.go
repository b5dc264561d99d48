package main

import (
	"errors"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// multiplier is a fast way to sum c_i P_i over the first powers.
type multiplier interface {
	multiply(result *bn254.G1Affine, coefficients []fr.Element) error
}

// powers are [tau^i]_1, and the fastest way that this machine has to commit with them.
type powers struct {
	points []bn254.G1Affine
	fast   multiplier // nil: the library's
}

func newPowers(points []bn254.G1Affine) *powers {
	return &powers{points, newVectorized(points)}
}

// commit gives sum c_i [tau^i]; the point at infinity for no coefficients.
func (p *powers) commit(result *bn254.G1Affine, coefficients []fr.Element) error {
	if len(coefficients) == 0 {
		*result = bn254.G1Affine{}
		return nil
	}
	if p.fast != nil {
		if err := p.fast.multiply(result, coefficients); !errors.Is(err, errCoincidence) {
			return err
		}
	}
	_, err := result.MultiExp(p.points[:len(coefficients)], coefficients, ecc.MultiExpConfig{})
	return err
}

// errCoincidence is what a multiplier says to sums that it cannot make because two sums on the way are the same: that takes
// a known relation of the powers, as a devnet's string may have. The library can.
var errCoincidence = errors.New("two sums of points are the same")
