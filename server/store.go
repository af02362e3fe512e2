package server

import (
	"context"
	"log/slog"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqlite"
)

// databases returns the opener of the databases that are configured. No other
// place picks a driver of the store.
func databases(cfg *config.Config, log *slog.Logger) store.Opener {
	return sqlite.NewDir(cfg.DataDir, cfg.Shards, log)
}

// files returns the opener of a data directory that is there.
func files(dir string, log *slog.Logger) store.Opener { return sqlite.NewDir(dir, 1, log) }

// controlFile is the file without which a directory is no data directory.
const controlFile = sqlite.ControlFile

func (s *Server) openStore(ctx context.Context) (err error) {
	s.store, err = store.Open(ctx, databases(s.cfg, s.log), s.reg)
	if err != nil {
		return err
	}
	s.onClose(func() {
		if err := s.store.Close(); err != nil {
			s.log.Error("closing the databases", "err", err)
		}
	})
	return nil
}
