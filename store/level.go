package store

import "context"

// Level is the form in which the data of a deployment were written (cluster.Level), and the
// version of the program that was the first to do so. The zero value: none was noted.
type Level struct {
	Number  int
	Version string
}

// LevelLog is the part of Control that keeps programs away from data that they do not know.
type LevelLog interface {
	// Level returns the highest level that was noted.
	Level(ctx context.Context) (Level, error)

	// RaiseLevel notes a level. Of one that is noted already, the first version stays.
	RaiseLevel(ctx context.Context, l Level) error
}

func (c *control) Level(ctx context.Context) (l Level, err error) {
	err = c.do(ctx, "level", func(ctx context.Context) (err error) { l, err = c.driver.Level(ctx); return err })
	return l, err
}

func (c *control) RaiseLevel(ctx context.Context, l Level) error {
	return c.do(ctx, "raise_level", func(ctx context.Context) error { return c.driver.RaiseLevel(ctx, l) })
}
