package follow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/roomtide/roomtide/chat"
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
func triggersOf(ctx context.Context, c *Config) ([]trigger, error) {
	question := map[Engine]string{MySQL: "SELECT COALESCE(DATABASE(), '')", Postgres: "SELECT current_schema()"}[c.Engine]
	if question == "" {
		return nil, &chat.Error{Kind: chat.Invalid, Op: "follow.triggers", Text: "triggers are for MySQL, MariaDB and PostgreSQL; a SQLite file is polled"}
	}
	var schema string
	if err := c.DB.QueryRowContext(ctx, question).Scan(&schema); err != nil {
		return nil, fail("triggers", "", err)
	}
	var all []trigger
	for _, w := range append([]Watch{{c.Table.Name, c.Table.Key}}, c.Watch...) {
		t, err := describe(ctx, c.DB, c.Engine, w.Name)
		if err != nil {
			return nil, err
		}
		value, ok := t.column(w.Column)
		if !ok {
			return nil, &chat.Error{Kind: chat.Invalid, Op: "follow.triggers", Subject: t.name, Text: "the table " + t.name + " has no column " + w.Column}
		}
		if length := value.length; length > 255 || value.binary && length > 127 {
			return nil, &chat.Error{Kind: chat.Invalid, Op: "follow.triggers", Subject: t.name,
				Text: fmt.Sprintf("the column %s of %s holds keys of up to %d characters; those of a table of changes have 255", value.name, t.name, length)}
		}
		all = append(all, trigger{t, value, c.Engine.quote(schema + "." + changeTable), schema})
	}
	return all, nil
}

// name is that of the trigger, without the event.
func (t trigger) name() string {
	sum := sha256.Sum256([]byte(t.table.name + "\x00" + t.value.name + "\x00" + t.value.typ))
	return "roomtide_" + hex.EncodeToString(sum[:6])
}

// TriggerStatements are the statements that make the table of changes and the triggers
// which fill it: Install runs those that are missing.
func TriggerStatements(ctx context.Context, c Config) ([]string, error) {
	all, err := triggersOf(ctx, &c)
	if err != nil {
		return nil, err
	}
	var statements []string
	for _, s := range madeFor(c.Engine, all) {
		statements = append(statements, s.text)
	}
	return statements, nil
}

// made is a statement that makes one thing, and its name if it is a trigger.
type made struct{ trigger, text string }

func madeFor(e Engine, all []trigger) []made {
	if e == MySQL {
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
		key := func(row string) string { return "(" + t.value.asText(MySQL, row+"."+MySQL.quote(t.value.name)) + ")" }
		for _, event := range []struct{ name, values string }{
			{"insert", key("NEW")}, {"update", key("OLD") + ", " + key("NEW")}, {"delete", key("OLD")},
		} {
			name := t.name() + "_" + event.name
			qualified := name
			if schema, _, ok := strings.Cut(t.table.name, "."); ok {
				qualified = schema + "." + name
			}
			list = append(list, made{name, fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s FOR EACH ROW INSERT INTO %s (k) VALUES %s",
				MySQL.quote(qualified), strings.ToUpper(event.name), t.table.table(), t.home, event.values)})
		}
	}
	return list
}

// In PostgreSQL the function has the rights of its owner, so that the application needs
// none on the table of changes.
func postgresTriggers(all []trigger) []made {
	list := []made{{"", "CREATE TABLE IF NOT EXISTS " + all[0].home + " (x bigint NOT NULL, k text NOT NULL, PRIMARY KEY (x, k))"}}
	for _, t := range all {
		function := Postgres.quote(t.schema + "." + t.name())
		note := func(row string) string {
			return fmt.Sprintf("INSERT INTO %s (x, k) SELECT txid_current(), v FROM (SELECT CAST(%s AS text) AS v) s WHERE v IS NOT NULL ON CONFLICT DO NOTHING;",
				t.home, t.value.asText(Postgres, row+"."+Postgres.quote(t.value.name)))
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
			list = append(list, made{name, fmt.Sprintf("CREATE TRIGGER %s AFTER %s EXECUTE PROCEDURE %s()", Postgres.quote(name), event, function)})
		}
	}
	return list
}
