// cohort-prover makes the proof of a round: the same bytes as the prover in Python (cohort_protocol/proof/prover.py), several
// times as fast.
//
// It is an optional part. A worker finds it on PATH or by COHORT_PROVER and hands it a folder with the statement and the
// rows (cohort_worker/proving/work_folder.py). Nothing that it says is believed: proofs are checked before they are used.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const usage = `usage: cohort-prover FOLDER

Proves the round whose statement is FOLDER/task.json and leaves the proof, 320 bytes, in FOLDER/proof. Each part that
begins is told in a line of JSON. Ends when its standard input is closed.`

func main() {
	if len(os.Args) != 2 || os.Args[1] == "--help" {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	go endWithParent()
	if err := proveFolder(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "cohort-prover:", err)
		os.Exit(1)
	}
}

// endWithParent ends the process when nobody waits for it any more.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(3)
}

func proveFolder(folder string) error {
	t, err := readTask(folder)
	if err != nil {
		return err
	}
	points, err := mapPowers(t.srs, t.dimension)
	if err != nil {
		return err
	}
	report := progress()
	report(steps[0])
	v, err := combination(t.state, t.rows, t.dimension)
	if err != nil {
		return err
	}
	p, err := prove(t.state, v, newPowers(points), report)
	if err != nil {
		return err
	}
	// Whoever reads the file finds a whole proof or none.
	part := filepath.Join(folder, ".proof.part")
	if err := os.WriteFile(part, p.bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(folder, "proof"))
}
