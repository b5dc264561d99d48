//go:build cgo && amd64

package main

// #cgo CFLAGS: -O3 -std=c11
// #include "msm.h"
import "C"

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// leastPoints: shorter sums are not worth the preparation.
const leastPoints = 1 << 8

// vectorized sums on processors with AVX-512 IFMA, see msm.c.
type vectorized struct {
	powers  []bn254.G1Affine // in the form that msm.c takes
	scalars [][4]uint64
	digits  sync.Pool
}

// newVectorized gives nil where the processor cannot, or the sums are short.
func newVectorized(powers []bn254.G1Affine) multiplier {
	if len(powers) < leastPoints || C.cohort_msm_runs_here() == 0 {
		return nil
	}
	v := &vectorized{powers: make([]bn254.G1Affine, len(powers)), scalars: make([][4]uint64, len(powers))}
	v.digits.New = func() any { return make([]int32, len(powers)) }
	parallel(len(powers), func(from, to int) {
		if from < to {
			C.cohort_msm_points(words(&powers[from]), words(&v.powers[from]), C.size_t(to-from))
		}
	})
	return v
}

func words[T any](of *T) *C.uint64_t { return (*C.uint64_t)(unsafe.Pointer(of)) }

// multiply gives sum c_i P_i, the windows shared among processors.
func (v *vectorized) multiply(result *bn254.G1Affine, coefficients []fr.Element) error {
	parallel(len(coefficients), func(from, to int) {
		for i := from; i < to; i++ {
			v.scalars[i] = coefficients[i].Bits()
		}
	})
	tasks := runtime.GOMAXPROCS(0)
	bits, windows := windowBits(len(coefficients), tasks)
	sums := make([][C.COHORT_MSM_SUM]uint64, windows)
	var next, failed atomic.Int32
	var group sync.WaitGroup
	for range min(tasks, windows) {
		group.Add(1)
		go func() {
			defer group.Done()
			for window := int(next.Add(1)) - 1; window < windows && failed.Load() == 0; window = int(next.Add(1)) - 1 {
				failed.Or(v.window(len(coefficients), bits, window, windows, &sums[window][0]))
			}
		}()
	}
	group.Wait()
	switch failed.Load() {
	case C.COHORT_MSM_DONE:
	case C.COHORT_MSM_COINCIDENCE:
		return errCoincidence
	default:
		return errors.New("out of memory in a multi-scalar multiplication")
	}
	C.cohort_msm_join(words(&sums[0]), C.uint(windows), C.uint(bits), words(result))
	return nil
}

func (v *vectorized) window(count, bits, window, windows int, sum *uint64) int32 {
	digits := v.digits.Get().([]int32)
	defer v.digits.Put(digits) //nolint:staticcheck // a slice header is what the pool keeps
	first := (*C.int32_t)(unsafe.Pointer(&digits[0]))
	C.cohort_msm_digits(words(&v.scalars[0]), C.size_t(count), C.uint(bits), C.uint(window), C.uint(windows), first)
	return int32(C.cohort_msm_window(words(&v.powers[0]), first, C.size_t(count), C.uint32_t(1)<<(bits-1), words(sum)))
}

// windowBits weighs additions of points against those of buckets, which cost 3.5 times as much, two for each bucket.
func windowBits(count, tasks int) (bits, windows int) {
	least := -1.0
	for c := 6; c <= 18; c++ {
		w := (255 + c - 1) / c
		rounds := (w + tasks - 1) / tasks
		cost := float64(rounds) * (float64(count) + 3.5*float64(int(1)<<(c-1)))
		if least < 0 || cost < least {
			least, bits, windows = cost, c, w
		}
	}
	return bits, windows
}
