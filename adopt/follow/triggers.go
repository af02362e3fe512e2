package follow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/roomtide/roomtide/adopt/source"
)

// changeTable is the table that triggers fill, in the schema of the source's connection.
//
// In MySQL a row has a number and a key, NULL if it is of a watched table and belongs to
// no message. In PostgreSQL a number would come from a sequence, and applications that
// ask for lastval() after an INSERT would get it instead of their own: there a row is
// named by its transaction and its key, and "" stands for all keys, after a TRUNCATE.
const changeTable = "roomtide_changes"

// trigger is what tells changes of one table. Its name says what it does: triggers of
// an older configuration have another one.
type trigger struct {
	table  *described
	value  column // holds the message's key
	home   string // the table of changes, quoted
	schema string // where it is
}

// triggersOf are the triggers of the configured tables.
func triggersOf(ctx context.Context, c *session) ([]trigger, error) {
	question := map[source.Engine]string{source.MySQL: "SELECT COALESCE(DATABASE(), '')", source.Postgres: "SELECT current_schema()"}[c.engine]
	if question == "" {
		return nil, invalid("triggers", "", "triggers are for MySQL, MariaDB and PostgreSQL; a SQLite file is polled")
	}
	var schema string
	if err := c.db.QueryRowContext(ctx, question).Scan(&schema); err != nil {
		return nil, fail("triggers", "", err)
	}
	tables, err := c.describeAll(ctx)
	var all []trigger
	for _, f := range tables {
		if length := f.key.length; length > 255 || f.key.binary && length > 127 {
			return nil, invalid("triggers", f.table.name,
				fmt.Sprintf("the column %s of %s holds keys of up to %d characters; those of a table of changes have 255", f.key.name, f.table.name, length))
		}
		all = append(all, trigger{f.table, f.key, c.engine.QuotePath(schema + "." + changeTable), schema})
	}
	return all, err
}

// name is that of the trigger, without the event.
func (t trigger) name() string {
	sum := sha256.Sum256([]byte(t.table.name + "\x00" + t.value.name + "\x00" + t.value.typ + t.value.prefix))
	return "roomtide_" + hex.EncodeToString(sum[:6])
}

// TriggerStatements are the statements that make the table of changes and the triggers
// which fill it: Install runs those that are missing.
func TriggerStatements(ctx context.Context, c Config) ([]string, error) {
	s, err := dial(ctx, c, false)
	if err != nil {
		return nil, err
	}
	defer s.db.Close()
	all, err := triggersOf(ctx, s)
	if err != nil {
		return nil, err
	}
	var statements []string
	for _, m := range madeFor(s.engine, all) {
		statements = append(statements, m.text)
	}
	return statements, nil
}

// made is a statement that makes one thing, and its name if it is a trigger.
type made struct{ trigger, text string }

func madeFor(e source.Engine, all []trigger) []made {
	if e == source.MySQL {
		return mysqlTriggers(all)
	}
	return postgresTriggers(all)
}

// In MySQL an INSERT with a known number of rows does not lock the numbers of the table,
// which INSERT ... SELECT would, until the application's statement ends.
func mysqlTriggers(all []trigger) []made {
	list := []made{{"", "CREATE TABLE IF NOT EXISTS " + all[0].home + " (n BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, k VARCHAR(255)) " +
		"ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"}}
	for _, t := range all {
		key := func(row string) string {
			return "(" + t.value.asText(source.MySQL, row+"."+source.MySQL.QuotePath(t.value.name)) + ")"
		}
		for _, event := range []struct{ name, values string }{
			{"insert", key("NEW")}, {"update", key("OLD") + ", " + key("NEW")}, {"delete", key("OLD")},
		} {
			name := t.name() + "_" + event.name
			qualified := name
			if schema, _, ok := strings.Cut(t.table.name, "."); ok {
				qualified = schema + "." + name
			}
			list = append(list, made{name, fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s FOR EACH ROW INSERT INTO %s (k) VALUES %s",
				source.MySQL.QuotePath(qualified), strings.ToUpper(event.name), t.table.table(), t.home, event.values)})
		}
	}
	return list
}

// In PostgreSQL the function has the rights of its owner, so that the application needs
// none on the table of changes.
func postgresTriggers(all []trigger) []made {
	list := []made{{"", "CREATE TABLE IF NOT EXISTS " + all[0].home + " (x bigint NOT NULL, k text NOT NULL, PRIMARY KEY (x, k))"}}
	for _, t := range all {
		function := source.Postgres.QuotePath(t.schema + "." + t.name())
		note := func(row string) string {
			return fmt.Sprintf("INSERT INTO %s (x, k) SELECT txid_current(), v FROM (SELECT CAST(%s AS text) AS v) s WHERE v IS NOT NULL ON CONFLICT DO NOTHING;",
				t.home, t.value.asText(source.Postgres, row+"."+source.Postgres.QuotePath(t.value.name)))
		}
		list = append(list, made{"", fmt.Sprintf(`CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $roomtide$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO %s (x, k) VALUES (txid_current(), '') ON CONFLICT DO NOTHING;
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    %s
  END IF;
  IF TG_OP <> 'DELETE' THEN
    %s
  END IF;
  RETURN NULL;
END $roomtide$`, function, t.home, note("OLD"), note("NEW"))})
		for name, event := range map[string]string{
			t.name() + "_rows": "INSERT OR UPDATE OR DELETE ON " + t.table.table() + " FOR EACH ROW",
			t.name() + "_all":  "TRUNCATE ON " + t.table.table() + " FOR EACH STATEMENT",
		} {
			list = append(list, made{name, fmt.Sprintf("CREATE TRIGGER %s AFTER %s EXECUTE PROCEDURE %s()", source.Postgres.QuotePath(name), event, function)})
		}
	}
	return list
}
