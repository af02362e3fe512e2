package backup

import (
	"archive/tar"
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/roomtide/roomtide/chat"
)

// maxManifest bounds how much of a manifest is read.
const maxManifest = 64 << 20

// Verify reads a whole backup and compares it with its manifest. Invalid if a file is
// missing or not as it was written, NotFound if there is no backup.
func Verify(ctx context.Context, path string, progress func(Progress)) (*Manifest, error) {
	return read(ctx, path, progress, func(_ string, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
}

// Restore puts a backup back as the directory dir, which does not exist or is empty
// (else Conflict). Before the files get their place they are verified, and then
// prepared: prepare is called with the directory that they are in meanwhile. last is the
// file without which the directory is not taken for a whole one.
func Restore(ctx context.Context, path, dir, last string, progress func(Progress), prepare func(m *Manifest, dir string) error) (*Manifest, error) {
	s, err := stage(dir)
	if err != nil {
		return nil, err
	}
	m, err := read(ctx, path, progress, func(name string, r io.Reader) error {
		f, err := os.OpenFile(s.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Close())
	})
	if err == nil {
		err = prepare(m, s.dir)
	}
	if err == nil {
		err = syncFiles(s.dir)
	}
	if err == nil {
		err = s.finish(last)
	}
	if err != nil {
		return nil, s.abandon(err)
	}
	return m, nil
}

func syncFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fail(err)
	}
	for _, e := range entries {
		f, err := os.OpenFile(filepath.Join(dir, e.Name()), os.O_RDWR, 0)
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
		if err != nil {
			return fail(err)
		}
	}
	return nil
}

// reading is one pass through a backup.
type reading struct {
	ctx      context.Context
	take     func(name string, r io.Reader) error // reads r to its end
	progress func(Progress)
	found    map[string]File // by name: Bytes and SHA256 as they were read
	now      Progress
}

// read hands every file of a backup to take, and compares what it was with the manifest.
func read(ctx context.Context, path string, progress func(Progress), take func(name string, r io.Reader) error) (*Manifest, error) {
	rd := &reading{ctx: ctx, take: take, progress: progress, found: map[string]File{}}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, chat.Wrap(chat.NotFound, "backup.read", err)
	case err != nil:
		return nil, fail(err)
	}
	var m *Manifest
	if st.IsDir() {
		m, err = rd.directory(path)
	} else {
		m, err = rd.archive(path)
	}
	if err != nil {
		return nil, fail(err)
	}
	return m, rd.compare(m)
}

func (rd *reading) compare(m *Manifest) error {
	for name := range rd.found {
		if m.file(name) == nil {
			return damaged(name, "is not in the "+ManifestFile, nil)
		}
	}
	for i := range m.Files {
		want := &m.Files[i]
		got, ok := rd.found[want.Name]
		switch {
		case !ok:
			return damaged(want.Name, "is missing", nil)
		case got.Bytes != want.Bytes:
			return damaged(want.Name, fmt.Sprintf("has %d bytes, and had %d when it was written", got.Bytes, want.Bytes), nil)
		case got.SHA256 != want.SHA256:
			return damaged(want.Name, "has changed since it was written: its SHA-256 is another", nil)
		}
	}
	return nil
}

func (rd *reading) directory(path string) (*Manifest, error) {
	text, err := os.ReadFile(filepath.Join(path, ManifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &chat.Error{Kind: chat.NotFound, Op: "backup.read", Text: path + " is no backup: it has no " + ManifestFile, Err: err}
	}
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(text)
	if err != nil {
		return nil, err
	}
	rd.now.Total = m.Bytes()
	for i := range m.Files {
		f, err := os.Open(filepath.Join(path, m.Files[i].Name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // compare says so
		}
		if err != nil {
			return nil, err
		}
		err = rd.file(m.Files[i].Name, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (rd *reading) archive(path string) (*Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	var r io.Reader = in
	if magic, _ := in.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		if r, err = gzip.NewReader(in); err != nil {
			return nil, damaged(path, "is damaged", err)
		}
	}
	m, err := rd.entries(tar.NewReader(r))
	if err == nil {
		_, err = io.Copy(io.Discard, r) // the checksum of the compression is at its end
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, damaged(path, "is cut off", err)
	case errors.Is(err, tar.ErrHeader), errors.As(err, new(flate.CorruptInputError)), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		return nil, damaged(path, "is no backup, or damaged", err)
	case err == nil && m == nil:
		return nil, damaged(path, "is cut off, or no backup: it has no "+ManifestFile, nil)
	}
	return m, err
}

// entries reads the files of an archive. The manifest is the last one.
func (rd *reading) entries(tr *tar.Reader) (*Manifest, error) {
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Name == ManifestFile {
			text, err := io.ReadAll(io.LimitReader(tr, maxManifest))
			if err != nil {
				return nil, err
			}
			return parseManifest(text)
		}
		if h.Typeflag != tar.TypeReg || !plain(h.Name) {
			return nil, damaged(h.Name, "does not belong into a backup", nil)
		}
		if _, twice := rd.found[h.Name]; twice {
			return nil, damaged(h.Name, "is there twice", nil)
		}
		if err := rd.file(h.Name, tr); err != nil {
			return nil, err
		}
	}
}

// file hands a file to take and notes what it was.
func (rd *reading) file(name string, r io.Reader) error {
	hash := sha256.New()
	rd.now.File = name
	before := rd.now.Done
	counted := &counting{r: io.TeeReader(stopping{rd.ctx, r}, hash), tell: func(n int64) {
		rd.now.Done = before + n
		if rd.progress != nil {
			rd.progress(rd.now)
		}
	}}
	if err := rd.take(name, counted); err != nil {
		return err
	}
	rd.found[name] = File{Bytes: counted.n, SHA256: hex.EncodeToString(hash.Sum(nil))}
	return nil
}

// counting tells how much was read.
type counting struct {
	r    io.Reader
	n    int64
	tell func(int64)
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.tell(c.n)
	return n, err
}
