package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	maxDimension = 1 << 24
	maxRows      = 42
	maxTaskBytes = 1 << 20
)

// task is what the prover needs of task.json: where the powers and the rows are, and the transcript's state, which binds
// everything else.
type task struct {
	srs       string
	dimension int
	state     [32]byte
	rows      []row
}

var rowName = regexp.MustCompile(`^row-[0-9]{2}$`)

func readTask(folder string) (*task, error) {
	path := filepath.Join(folder, "task.json")
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxTaskBytes {
		return nil, fmt.Errorf("%s has %d bytes, %d are the most", path, info.Size(), maxTaskBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Version     int
		Srs         string
		Dimension   int
		Head        string
		Step        string
		Commitments []string
		Gram        string
		Weights     []uint32
		Rows        []struct{ File, Type string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if file.Version != 1 || file.Dimension < 1 || file.Dimension > maxDimension {
		return nil, fmt.Errorf("%s: version %d, dimension %d; read are version 1 and 1 .. %d", path, file.Version, file.Dimension, maxDimension)
	}
	if len(file.Rows) == 0 || len(file.Rows) > maxRows || len(file.Rows) != len(file.Commitments) {
		return nil, fmt.Errorf("%s: %d rows and %d commitments; 1 .. %d of each are read", path, len(file.Rows), len(file.Commitments), maxRows)
	}
	t := &task{srs: file.Srs, dimension: file.Dimension}
	for _, each := range file.Rows {
		width := map[string]int{"int16": 2, "int32": 4, "int64": 8}[each.Type]
		if width == 0 || !rowName.MatchString(each.File) {
			return nil, fmt.Errorf("%s: a row %q of type %q", path, each.File, each.Type)
		}
		t.rows = append(t.rows, row{filepath.Join(folder, each.File), width})
	}
	hashed := append(append([]string{file.Head, file.Step}, file.Commitments...), file.Gram)
	t.state, err = stateOf(hashed, file.Weights)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// stateOf hashes the statement as the verifier does: head, step, commitments, Gram matrix, weights of 32 bytes each.
func stateOf(texts []string, weights []uint32) (state [32]byte, err error) {
	var parts [][]byte
	for _, text := range texts {
		part, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
		if err != nil {
			return state, err
		}
		parts = append(parts, part)
	}
	for _, weight := range weights {
		word := make([]byte, 32)
		binary.BigEndian.PutUint32(word[28:], weight)
		parts = append(parts, word)
	}
	return keccak(parts...), nil
}

// steps are the parts of the work that `report` tells of.
var steps = []string{"combine", "correlate", "commit S", "evaluate", "divide", "commit W", "divide W'", "commit W'"}

// progress prints a line of JSON for each part that begins.
func progress() func(string) {
	encoder := json.NewEncoder(os.Stdout)
	begun := 0
	return func(step string) {
		begun++
		_ = encoder.Encode(map[string]any{"part": begun, "parts": len(steps), "step": step})
	}
}
