package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"syscall"
	"unsafe"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

const (
	srsHeader  = 4096
	srsMagic   = "COHORT SRS BN254"
	srsVersion = 1
	powerBytes = 64
)

// mapPowers maps the first `needed` powers of a string in the format of cohort_protocol/proof/srs.py: a header, then points of
// 64 bytes in Montgomery form, which is how the library keeps them in memory. Whoever opened the file for the first time
// has checked the points; a wrong one makes a proof that nobody accepts.
func mapPowers(path string, needed int) ([]bn254.G1Affine, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	header := make([]byte, srsHeader)
	if _, err := io.ReadFull(file, header); err != nil {
		return nil, fmt.Errorf("%s has no header of %d bytes: %w", path, srsHeader, err)
	}
	if !bytes.HasPrefix(header, []byte(srsMagic)) || binary.LittleEndian.Uint32(header[16:]) != srsVersion {
		return nil, fmt.Errorf("%s is no SRS file of version %d: make one with `cohort srs import`", path, srsVersion)
	}
	size := binary.LittleEndian.Uint64(header[24:])
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if uint64(needed) > size || info.Size() < int64(srsHeader)+int64(needed)*powerBytes {
		return nil, fmt.Errorf("%s has %d powers, %d are needed: import a larger one with `cohort srs import`", path, size, needed)
	}
	data, err := syscall.Mmap(int(file.Fd()), 0, srsHeader+needed*powerBytes, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", path, err)
	}
	return unsafe.Slice((*bn254.G1Affine)(unsafe.Pointer(&data[srsHeader])), needed), nil
}

// combination gives V = sum x_a U_a from files of little-endian integers, one for each row, read once each.
func combination(state [32]byte, rows []row, dimension int) ([]fr.Element, error) {
	sums := make([]wide, dimension)
	for index, source := range rows {
		low, high := rowChallenge(state, index)
		if err := source.addTo(sums, low, high); err != nil {
			return nil, err
		}
	}
	v := make([]fr.Element, dimension)
	toMontgomery := radix()
	parallel(dimension, func(from, to int) {
		for i := from; i < to; i++ {
			v[i] = sums[i].element(&toMontgomery)
		}
	})
	return v, nil
}

// row is one vector of the statement: entries of 2, 4 or 8 bytes in a file.
type row struct {
	path  string
	width int
}

const block = 1 << 16

func (r row) addTo(sums []wide, low, high uint64) error {
	file, err := os.Open(r.path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != int64(len(sums)*r.width) {
		return fmt.Errorf("%s has %d bytes, %d entries of %d bytes are needed", r.path, info.Size(), len(sums), r.width)
	}
	reader := bufio.NewReader(file)
	buffer := make([]byte, block*r.width)
	for start := 0; start < len(sums); start += block {
		count := min(block, len(sums)-start)
		if _, err := io.ReadFull(reader, buffer[:count*r.width]); err != nil {
			return fmt.Errorf("%s: %w", r.path, err)
		}
		if index := r.tooWide(buffer, count); index >= 0 {
			return fmt.Errorf("%s: entry %d is not within 32 bits", r.path, start+index)
		}
		parallel(count, func(from, to int) {
			for i := from; i < to; i++ {
				sums[start+i].addProduct(low, high, r.entry(buffer, i))
			}
		})
	}
	return nil
}

// tooWide gives the first entry that does not fit into int32, -1 if all do: sums of products are sized for that.
func (r row) tooWide(buffer []byte, count int) int {
	for i := 0; r.width == 8 && i < count; i++ {
		if entry := r.entry(buffer, i); entry != int64(int32(entry)) {
			return i
		}
	}
	return -1
}

func (r row) entry(buffer []byte, i int) int64 {
	switch r.width {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(buffer[2*i:])))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(buffer[4*i:])))
	}
	return int64(binary.LittleEndian.Uint64(buffer[8*i:]))
}
