package main

import (
	"errors"
	"math/bits"
	"runtime"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/fft"
)

// proof holds what the prover sends, the points [S], [W], [W'] and V(z), V(1/z), S(z), 1/(z(1 - z^2)).
type proof struct {
	quotient, opening, last bn254.G1Affine
	v1, v2, s1, hint        fr.Element
}

// prove makes the argument of docs/protocol/proof.md from the transcript's state and V = sum x_a U_a. The third polynomial
// of the argument, sum w_a U_a - m, is zero for a true statement and so appears nowhere here.
func prove(state [32]byte, v []fr.Element, powers *powers, report func(string)) (*proof, error) {
	p := new(proof)
	report(steps[1])
	s, square := autocorrelation(v)
	report(steps[2])
	if err := powers.commit(&p.quotient, s); err != nil {
		return nil, err
	}
	t := transcript{state}
	z := t.absorbPoint(&p.quotient)
	report(steps[3])
	if err := p.evaluate(z, v, s); err != nil {
		return nil, err
	}
	gamma := t.absorbScalars(&p.v1, &p.v2, &p.s1)
	report(steps[4])
	f := combined(v, s, &gamma)
	var inverse fr.Element
	inverse.Inverse(&z)
	w := divided(divided(f, &z), &inverse)
	report(steps[5])
	if err := powers.commit(&p.opening, w); err != nil {
		return nil, err
	}
	y := t.absorbPoint(&p.opening)
	line := p.line(&z, &inverse, &y, &gamma, &square)
	report(steps[6])
	last := divided(linearised(f, w, &z, &inverse, &y, &line), &y)
	report(steps[7])
	if err := powers.commit(&p.last, last); err != nil {
		return nil, err
	}
	return p, nil
}

// autocorrelation gives S, where V(X)V(1/X) = c + X S(X) + S(1/X)/X, and c = sum v_i^2. Values of V on the roots of unity
// stand for V(1/X) as well, backwards, so that one transform there and one back are enough.
func autocorrelation(v []fr.Element) (s []fr.Element, square fr.Element) {
	domain := fft.NewDomain(uint64(2 * len(v)))
	size := int(domain.Cardinality)
	values := make([]fr.Element, size)
	copy(values, v)
	domain.FFT(values, fft.DIF)
	fft.BitReverse(values)
	products := make([]fr.Element, size)
	parallel(size, func(from, to int) {
		for j := from; j < to; j++ {
			products[j].Mul(&values[j], &values[(size-j)%size])
		}
	})
	domain.FFTInverse(products, fft.DIF)
	fft.BitReverse(products)
	return products[1:len(v)], products[0]
}

func (p *proof) evaluate(z fr.Element, v, s []fr.Element) error {
	var one, inverse, product fr.Element
	one.SetOne()
	product.Square(&z)
	product.Sub(&one, &product)
	product.Mul(&product, &z)
	if product.IsZero() {
		return errors.New("the challenge z is 0, 1 or -1: no such proof exists, change any byte of the statement")
	}
	p.hint.Inverse(&product)
	inverse.Inverse(&z)
	p.v1, p.v2, p.s1 = value(v, &z), value(v, &inverse), value(s, &z)
	return nil
}

// line gives I(y): the line through (z, f1) and (1/z, f2), where f = S + gamma V.
func (p *proof) line(z, inverse, y, gamma, square *fr.Element) fr.Element {
	var s2, f1, f2, t fr.Element
	s2.Mul(&p.v1, &p.v2)
	s2.Sub(&s2, square)
	t.Mul(z, &p.s1)
	s2.Sub(&s2, &t)
	s2.Mul(&s2, z)
	f1.Mul(gamma, &p.v1)
	f1.Add(&f1, &p.s1)
	f2.Mul(gamma, &p.v2)
	f2.Add(&f2, &s2)
	f2.Sub(&f2, &f1)
	t.Sub(inverse, z)
	f2.Div(&f2, &t)
	t.Sub(y, z)
	f2.Mul(&f2, &t)
	f2.Add(&f2, &f1)
	return f2
}

func combined(v, s []fr.Element, gamma *fr.Element) []fr.Element {
	f := make([]fr.Element, len(v))
	parallel(len(v), func(from, to int) {
		for i := from; i < to; i++ {
			f[i].Mul(gamma, &v[i])
			if i < len(s) {
				f[i].Add(&f[i], &s[i])
			}
		}
	})
	return f
}

// linearised gives F - I(y) - (y - z)(y - 1/z) W, which is zero at y. It takes the place of F.
func linearised(f, w []fr.Element, z, inverse, y, line *fr.Element) []fr.Element {
	var scale, t fr.Element
	scale.Sub(y, z)
	t.Sub(y, inverse)
	scale.Mul(&scale, &t)
	parallel(len(w), func(from, to int) {
		for i := from; i < to; i++ {
			var product fr.Element
			product.Mul(&scale, &w[i])
			f[i].Sub(&f[i], &product)
		}
	})
	f[0].Sub(&f[0], line)
	return f
}

// divided gives the quotient of f by X - x, whatever the remainder.
func divided(f []fr.Element, x *fr.Element) []fr.Element {
	if len(f) < 2 {
		return nil
	}
	quotient := make([]fr.Element, len(f)-1)
	quotient[len(quotient)-1] = f[len(f)-1]
	for i := len(quotient) - 1; i > 0; i-- {
		quotient[i-1].Mul(&quotient[i], x)
		quotient[i-1].Add(&quotient[i-1], &f[i])
	}
	return quotient
}

func value(f []fr.Element, x *fr.Element) (result fr.Element) {
	for i := len(f) - 1; i >= 0; i-- {
		result.Mul(&result, x)
		result.Add(&result, &f[i])
	}
	return result
}

// parallel cuts 0 .. n into one part for each processor.
func parallel(n int, work func(from, to int)) {
	parts := runtime.GOMAXPROCS(0)
	var group sync.WaitGroup
	for part := 0; part < parts; part++ {
		from, to := part*n/parts, (part+1)*n/parts
		group.Add(1)
		go func() {
			defer group.Done()
			work(from, to)
		}()
	}
	group.Wait()
}

// wide is a sum of products of 128-bit challenges and 32-bit entries: two's complement in 192 bits, lowest word first. 2^6
// rows of |x u| < 2^159 stay far below 2^191.
type wide [3]uint64

func (w *wide) addProduct(low, high uint64, entry int64) {
	size := uint64(entry)
	if entry < 0 {
		size = uint64(-entry)
	}
	h0, p0 := bits.Mul64(low, size)
	h1, p1 := bits.Mul64(high, size)
	p1, carry := bits.Add64(p1, h0, 0)
	p2 := h1 + carry
	if entry < 0 {
		var borrow uint64
		w[0], borrow = bits.Sub64(w[0], p0, 0)
		w[1], borrow = bits.Sub64(w[1], p1, borrow)
		w[2], _ = bits.Sub64(w[2], p2, borrow)
		return
	}
	w[0], carry = bits.Add64(w[0], p0, 0)
	w[1], carry = bits.Add64(w[1], p1, carry)
	w[2], _ = bits.Add64(w[2], p2, carry)
}

// element gives the number modulo r. A product with 2^256, whose Montgomery form is 2^512, brings plain words into
// Montgomery form.
func (w *wide) element(radix *fr.Element) fr.Element {
	negative := w[2]>>63 == 1
	words := *w
	if negative {
		var borrow uint64
		words[0], borrow = bits.Sub64(0, words[0], 0)
		words[1], borrow = bits.Sub64(0, words[1], borrow)
		words[2], _ = bits.Sub64(0, words[2], borrow)
	}
	result := fr.Element{words[0], words[1], words[2], 0}
	result.Mul(&result, radix)
	if negative {
		result.Neg(&result)
	}
	return result
}

func radix() fr.Element {
	var two, result fr.Element
	two.SetUint64(2)
	result.SetOne()
	for i := 0; i < 256; i++ {
		result.Mul(&result, &two)
	}
	return result
}

// bytes gives the encoding that the Python prover gives: C_S, v1, v2, s1, h, [W], [W'], 320 bytes.
func (p *proof) bytes() []byte {
	out := pointBytes(nil, &p.quotient)
	for _, scalar := range []*fr.Element{&p.v1, &p.v2, &p.s1, &p.hint} {
		b := scalar.Bytes()
		out = append(out, b[:]...)
	}
	return pointBytes(pointBytes(out, &p.opening), &p.last)
}

// pointBytes appends x and y, 32 bytes each, big-endian (EIP-196); zeros for the point at infinity.
func pointBytes(out []byte, point *bn254.G1Affine) []byte {
	x, y := point.X.Bytes(), point.Y.Bytes()
	return append(append(out, x[:]...), y[:]...)
}
