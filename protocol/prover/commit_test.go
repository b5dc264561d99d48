package main

import (
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// somePoints gives [tau^i] for a fixed tau, and as many numbers modulo r.
func somePoints(count int) ([]bn254.G1Affine, []fr.Element) {
	_, _, generator, _ := bn254.Generators()
	powers, coefficients := make([]fr.Element, count), make([]fr.Element, count)
	var tau, seed fr.Element
	tau.SetUint64(0x9e3779b97f4a7c15)
	seed.SetUint64(11)
	powers[0].SetOne()
	for i := range powers {
		if i > 0 {
			powers[i].Mul(&powers[i-1], &tau)
		}
		seed.Square(&seed)
		seed.Add(&seed, &tau)
		coefficients[i] = seed
	}
	return bn254.BatchScalarMultiplicationG1(&generator, powers), coefficients
}

func TestCommitIsTheLibrarysSum(t *testing.T) {
	points, coefficients := somePoints(3000)
	coefficients[0].SetZero()
	coefficients[1].SetOne()
	coefficients[2].SetInt64(-1)
	twice := append([]bn254.G1Affine{points[5]}, points...)
	same := make([]fr.Element, 3000)
	for i := range same {
		same[i] = coefficients[7]
	}
	for name, one := range map[string]struct {
		points       []bn254.G1Affine
		coefficients []fr.Element
	}{
		"all": {points, coefficients}, "some": {points, coefficients[:2047]}, "one": {points, coefficients[:1]},
		"no scalar is another":         {points, same},
		"a point twice in each bucket": {twice, same},
	} {
		var expected, found bn254.G1Affine
		if _, err := expected.MultiExp(one.points[:len(one.coefficients)], one.coefficients, ecc.MultiExpConfig{}); err != nil {
			t.Fatal(err)
		}
		if err := newPowers(one.points).commit(&found, one.coefficients); err != nil || !found.Equal(&expected) {
			t.Errorf("%s: %v, %v instead of %v", name, err, found, expected)
		}
	}
}

func TestACoincidenceIsNoticed(t *testing.T) {
	points, coefficients := somePoints(1000)
	points[1], coefficients[1] = points[0], coefficients[0]
	fast := newVectorized(points)
	if fast == nil {
		t.Skip("this build or this processor has no vectorized sums")
	}
	var found bn254.G1Affine
	if err := fast.multiply(&found, coefficients); err != errCoincidence {
		t.Errorf("%v", err)
	}
}
