package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Other is a small file of a data directory beside the databases.
type Other struct {
	Name, Kind string
	Text       []byte
}

// Job is what to back up, and how.
type Job struct {
	Snapshot store.Snapshot
	Others   []Other
	Taken    time.Time
	Program  string         // version
	Rate     int64          // bytes a second; 0: no bound
	Progress func(Progress) // nil: none
}

// writer writes one backup.
type writer struct {
	*Job
	ctx         context.Context
	done, total int64
	paced       time.Time // when what is done should have been done, at Rate
}

// Write writes a backup to the target: a directory that does not exist or is empty, or
// an archive that does not exist, by its name. Conflict if there is something, ReadOnly
// if the disk is full.
func Write(ctx context.Context, target string, job Job) (*Manifest, error) {
	w := &writer{Job: &job, ctx: ctx}
	for _, f := range job.Snapshot.Files() {
		w.total += f.Bytes
	}
	if _, err := os.Lstat(target); archive(target) && !errors.Is(err, fs.ErrNotExist) {
		return nil, &chat.Error{Kind: chat.Conflict, Op: "backup.write", Text: target + " is there already: name another file, or move this one away", Err: err}
	}
	if archive(target) {
		return w.toArchive(target)
	}
	s, err := stage(target)
	if err != nil {
		return nil, err
	}
	m, err := w.files(s, nil)
	if err == nil {
		err = s.finish(ManifestFile)
	}
	if err != nil {
		return nil, s.abandon(err)
	}
	return m, nil
}

// archive reports whether the name is that of an archive.
func archive(name string) bool {
	return strings.HasSuffix(name, ".tar") || compressed(name)
}

func compressed(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz")
}

// toArchive copies each database to a directory beside the archive, and from there.
func (w *writer) toArchive(target string) (_ *Manifest, err error) {
	s, err := stage(target)
	if err != nil {
		return nil, err
	}
	path := s.path("archive")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, s.abandon(fail(err))
	}
	var out io.WriteCloser = f
	if compressed(target) {
		if out, err = gzip.NewWriterLevel(f, gzip.BestSpeed); err != nil {
			panic(err) // the level is one of the package's
		}
	}
	tw := tar.NewWriter(out)
	m, err := w.files(s, tw)
	err = errors.Join(err, tw.Close())
	if out != f {
		err = errors.Join(err, out.Close())
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(path, target)
	}
	if err = s.abandon(fail(err)); err == nil {
		err = syncDir(filepath.Dir(target))
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// files makes all files in the staging directory, the manifest last, and moves them
// into the archive if there is one.
func (w *writer) files(s *staging, tw *tar.Writer) (*Manifest, error) {
	slots := w.Snapshot.Map()
	m := &Manifest{
		Format: format, Program: w.Program, Taken: w.Taken.UTC().Truncate(time.Millisecond),
		Map: MapVersion{slots.Version, slots.Base, slots.Shards},
	}
	for _, o := range w.Others {
		f := File{Name: o.Name, Kind: o.Kind}
		if err := os.WriteFile(s.path(f.Name), o.Text, 0o600); err != nil {
			return nil, fail(err)
		}
		if err := w.add(s, tw, &f); err != nil {
			return nil, err
		}
		m.Files = append(m.Files, f)
	}
	for _, d := range w.Snapshot.Files() {
		f := File{Name: d.Name, Kind: Database, Schema: d.Schema}
		for _, lane := range slices.Sorted(maps.Keys(d.Lanes)) {
			f.Lanes = append(f.Lanes, Lane{lane, d.Lanes[lane].Epoch, d.Lanes[lane].N})
		}
		before := w.done
		err := w.Snapshot.Copy(w.ctx, d.Name, s.path(d.Name), func(written int64) { w.tell(d.Name, before+written) })
		if err != nil {
			return nil, fail(err)
		}
		if err := w.add(s, tw, &f); err != nil {
			return nil, err
		}
		m.Files = append(m.Files, f)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fail(err)
	}
	if err := os.WriteFile(s.path(ManifestFile), append(text, '\n'), 0o600); err != nil {
		return nil, fail(err)
	}
	return m, w.add(s, tw, &File{Name: ManifestFile})
}

// add brings a file to the disk, or into the archive, and fills in what it is.
func (w *writer) add(s *staging, tw *tar.Writer, f *File) error {
	in, err := os.OpenFile(s.path(f.Name), os.O_RDWR, 0)
	if err != nil {
		return fail(err)
	}
	err = w.addFile(in, tw, f)
	if err = errors.Join(err, in.Close()); err == nil && tw != nil {
		err = os.Remove(s.path(f.Name))
	}
	return fail(err)
}

func (w *writer) addFile(in *os.File, tw *tar.Writer, f *File) error {
	st, err := in.Stat()
	if err != nil {
		return err
	}
	f.Bytes = st.Size()
	hash := sha256.New()
	var out io.Writer = hash
	if tw != nil {
		header := &tar.Header{Name: f.Name, Size: f.Bytes, Mode: 0o600, ModTime: w.Taken, Format: tar.FormatPAX}
		if err := tw.WriteHeader(header); err != nil {
			return err
		}
		out = io.MultiWriter(hash, tw)
	} else if err := in.Sync(); err != nil {
		return err
	}
	if _, err := io.Copy(out, stopping{w.ctx, in}); err != nil {
		return err
	}
	f.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return nil
}

// tell says how much is done, and waits if that is more than Rate allows.
func (w *writer) tell(name string, done int64) {
	now := time.Now()
	if w.paced.Before(now) {
		w.paced = now
	}
	if w.Rate > 0 {
		w.paced = w.paced.Add(time.Duration(float64(done-w.done) / float64(w.Rate) * float64(time.Second)))
		select {
		case <-time.After(w.paced.Sub(now)):
		case <-w.ctx.Done():
		}
	}
	w.done = done
	if w.Progress != nil {
		w.Progress(Progress{File: name, Done: done, Total: w.total})
	}
}

// stopping is a reader that fails once its context has ended.
type stopping struct {
	ctx context.Context
	r   io.Reader
}

func (s stopping) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}
