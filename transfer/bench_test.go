package transfer_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/transfer"
)

// BenchmarkTransfer writes and reads a room of 50,000 messages with reactions.
func BenchmarkTransfer(b *testing.B) {
	from := open(b, 1)
	rows := aRoom("long", 50_000)
	put(b, from, rows)
	file := exportAll(b, from)
	perRow := func(b *testing.B) {
		b.ReportMetric(float64(rows.Len()*b.N)/b.Elapsed().Seconds(), "rows/s")
		b.ReportMetric(float64(len(file)*b.N)/b.Elapsed().Seconds()/1e6, "MB/s")
	}
	b.Run("export", func(b *testing.B) {
		for b.Loop() {
			if _, err := transfer.ExportAll(ctx, from, io.Discard, quiet); err != nil {
				b.Fatal(err)
			}
		}
		perRow(b)
	})
	b.Run("import", func(b *testing.B) {
		for b.Loop() {
			st := teststore.Open(b, b.TempDir(), 1, nil)
			if _, err := importInto(st, file, transfer.Refuse); err != nil {
				b.Fatal(err)
			}
			st.Close()
		}
		perRow(b)
	})
	b.Run("import again", func(b *testing.B) {
		st := open(b, 1)
		mustImport(b, st, file, transfer.Refuse)
		for b.Loop() {
			if _, err := transfer.Import(ctx, st, bytes.NewReader(file), transfer.Refuse, quiet); err != nil {
				b.Fatal(err)
			}
		}
		perRow(b)
	})
}
