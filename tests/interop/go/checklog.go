// Checklog verifies a Heldtrue log with the Go team's own packages: sumdb/note for the
// checkpoints, sumdb/tlog for the tree. It shares no code with Heldtrue.
//
//	checklog VKEY LOG [EARLIER-CHECKPOINT-FILE ...]
//
// LOG is a directory or a URL that has checkpoint and tile/ below it. Every record must
// be included in the tree, every earlier tree must be its beginning.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// A source reads files of a log by their path.
type source string

func (s source) read(path string) ([]byte, error) {
	if !strings.HasPrefix(string(s), "http") {
		return os.ReadFile(filepath.Join(string(s), filepath.FromSlash(path)))
	}
	answer, err := http.Get(strings.TrimSuffix(string(s), "/") + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// Height, ReadTiles and SaveTiles make a source a tlog.TileReader. C2SP's tlog-tiles fix
// the height, and so leave it out of the path.
func (s source) Height() int { return height }

func (s source) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data, err := s.read(strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		found[i] = data
	}
	return found, nil
}

func (s source) SaveTiles([]tlog.Tile, [][]byte) {}

// records reads the entry bundle of the tile that holds record n of a tree of the given size.
func (s source) records(n, size int64) ([][]byte, error) {
	tile := tlog.Tile{H: height, L: 0, N: n >> height, W: 1 << height}
	if left := size - tile.N<<height; left < 1<<height {
		tile.W = int(left)
	}
	data, err := s.read(strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1))
	if err != nil {
		return nil, err
	}
	var found [][]byte
	for len(data) >= 2 {
		length := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+length {
			return nil, fmt.Errorf("a bundle is cut off")
		}
		found, data = append(found, data[2:2+length]), data[2+length:]
	}
	if len(data) != 0 || len(found) != tile.W {
		return nil, fmt.Errorf("a bundle has %d records, not %d", len(found), tile.W)
	}
	return found, nil
}

// open verifies a checkpoint and returns its tree.
func open(signed []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, fmt.Errorf("malformed root %q", lines[2])
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree, nil
}

func check(vkey string, logs source, earlier []string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	signed, err := logs.read("checkpoint")
	if err != nil {
		return tlog.Tree{}, err
	}
	tree, err := open(signed, verifier)
	if err != nil {
		return tree, err
	}
	hashes := tlog.TileHashReader(tree, logs)
	for n := int64(0); n < tree.N; {
		records, err := logs.records(n, tree.N)
		if err != nil {
			return tree, err
		}
		for _, record := range records {
			proof, err := tlog.ProveRecord(tree.N, n, hashes)
			if err != nil {
				return tree, err
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, tlog.RecordHash(record)); err != nil {
				return tree, fmt.Errorf("record %d: %v", n, err)
			}
			n++
		}
	}
	for _, name := range earlier {
		signed, err := os.ReadFile(name)
		if err != nil {
			return tree, err
		}
		old, err := open(signed, verifier)
		if err != nil {
			return tree, fmt.Errorf("%s: %v", name, err)
		}
		proof, err := tlog.ProveTree(tree.N, old.N, hashes)
		if err != nil {
			return tree, err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return tree, fmt.Errorf("%s: %v", name, err)
		}
	}
	return tree, nil
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: checklog VKEY LOG [EARLIER-CHECKPOINT-FILE ...]")
	}
	tree, err := check(os.Args[1], source(os.Args[2]), os.Args[3:])
	if err != nil {
		log.Fatalf("refused: %v", err)
	}
	fmt.Printf("holds: %d records, %d earlier trees\n", tree.N, len(os.Args)-3)
}
