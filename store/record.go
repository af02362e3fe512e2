package store

import "context"

// Record is something small that the deployment keeps, in a form that the package that
// writes it knows.
type Record struct {
	ID   string // up to 128 bytes; ordered by its bytes
	Body []byte
}

// RecordLog is the part of Control that keeps records, such as webhooks and what they
// could not deliver. A collection is a name of up to 128 bytes.
type RecordLog interface {
	// Records returns up to limit records of the collection that follow the id, in
	// ascending ID.
	Records(ctx context.Context, collection, after string, limit int) ([]Record, error)

	// CountRecords returns how many the collection has.
	CountRecords(ctx context.Context, collection string) (int, error)

	// SaveRecords inserts or replaces records, all or none.
	SaveRecords(ctx context.Context, collection string, records ...Record) error

	// DropRecords deletes those of the records that exist, all or none.
	DropRecords(ctx context.Context, collection string, ids ...string) error
}

func (c *control) Records(ctx context.Context, collection, after string, limit int) (rs []Record, err error) {
	err = c.do(ctx, "records", func(ctx context.Context) (err error) {
		rs, err = c.driver.Records(ctx, collection, after, limit)
		return err
	})
	return rs, err
}

func (c *control) CountRecords(ctx context.Context, collection string) (n int, err error) {
	err = c.do(ctx, "count_records", func(ctx context.Context) (err error) {
		n, err = c.driver.CountRecords(ctx, collection)
		return err
	})
	return n, err
}

func (c *control) SaveRecords(ctx context.Context, collection string, records ...Record) error {
	return c.do(ctx, "save_records", func(ctx context.Context) error { return c.driver.SaveRecords(ctx, collection, records...) })
}

func (c *control) DropRecords(ctx context.Context, collection string, ids ...string) error {
	return c.do(ctx, "drop_records", func(ctx context.Context) error { return c.driver.DropRecords(ctx, collection, ids...) })
}
